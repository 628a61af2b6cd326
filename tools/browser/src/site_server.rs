//! A server of a test: a proxy in front of berth that can answer for berth and lose answers, and
//! the second origin, whose pages attack berth.
//!
//! Each connection carries one request, so that the proxy reads nothing of an answer.
//!
//! Decision: ADR 0062.

use std::{
    io::{Read as _, Write as _, copy},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

/// Time for which a browser may keep a connection without a request.
const PATIENCE: Duration = Duration::from_secs(60);
const MAX_REQUEST: usize = 256 * 1024;

/// What happens to a request.
#[derive(Clone, Debug)]
pub(crate) enum Treatment {
    /// The client gets this answer, and berth gets nothing.
    Answered(String),
    /// The request is processed, and the connection is cut before the answer.
    AnswerLost,
}

/// A running server. Dropping the value stops the server.
#[derive(Debug)]
pub(crate) struct SiteServer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    target: Mutex<Option<SocketAddr>>,
    /// The beginning of a request line, and the treatment of requests with this beginning.
    rule: Mutex<Option<(String, Treatment)>>,
    is_stopped: AtomicBool,
}

impl SiteServer {
    /// Starts a server that closes every connection.
    pub(crate) fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let (address, shared) = (listener.local_addr()?, Arc::new(Shared::default()));
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if serving.is_stopped.load(Ordering::SeqCst) {
                    return; // closes the port
                }
                let shared = Arc::clone(&serving);
                // A client may close at any time.
                thread::spawn(move || drop(shared.serve(client)));
            }
        });
        Ok(Self { address, shared })
    }

    /// Returns the origin with the address of loopback as host.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the origin with the name `localhost` as host, which is another site.
    pub(crate) fn named_origin(&self) -> String {
        format!("http://localhost:{}", self.address.port())
    }

    /// Forwards all further requests to this server.
    pub(crate) fn forward_to(&self, target: SocketAddr) {
        *locked(&self.shared.target) = Some(target);
    }

    /// Treats requests whose request line begins with this text in this way, instead of those of an
    /// earlier call.
    pub(crate) fn treat(&self, beginning: &str, treatment: Treatment) {
        *locked(&self.shared.rule) = Some((beginning.to_owned(), treatment));
    }

    /// Forwards all requests again.
    pub(crate) fn treat_none(&self) {
        *locked(&self.shared.rule) = None;
    }
}

impl Drop for SiteServer {
    fn drop(&mut self) {
        self.shared.is_stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address); // wakes the listener
    }
}

impl Shared {
    fn serve(&self, mut client: TcpStream) -> Result<()> {
        client.set_read_timeout(Some(PATIENCE))?;
        let request = read_request(&mut client)?;
        let rule = locked(&self.rule).clone();
        let treatment = rule.filter(|(beginning, _)| request.starts_with(beginning.as_bytes()));
        if let Some((_, Treatment::Answered(answer))) = &treatment {
            return Ok(client.write_all(answer.as_bytes())?);
        }
        let target = locked(&self.target).context("there is nothing to forward to")?;
        let mut server = TcpStream::connect(target)?;
        server.write_all(&request)?;
        if treatment.is_some() {
            // The first bytes of the answer show that the request was processed.
            server.read_exact(&mut [0; 12])?;
            return Ok(client.shutdown(Shutdown::Both)?);
        }
        client.set_read_timeout(None)?;
        let (mut leaving, ending) = (client.try_clone()?, server.try_clone()?);
        // A page that leaves ends its event stream at berth, too.
        thread::spawn(move || {
            let _ = leaving.read(&mut [0; 1]);
            let _ = ending.shutdown(Shutdown::Both);
        });
        let _ = copy(&mut server, &mut client);
        Ok(client.shutdown(Shutdown::Both)?)
    }
}

/// Reads a request, and asks for a connection of one request.
fn read_request(client: &mut TcpStream) -> Result<Vec<u8>> {
    let mut request = Vec::new();
    let mut part = [0; 16 * 1024];
    loop {
        let read = client.read(&mut part)?;
        ensure!(read > 0 && request.len() <= MAX_REQUEST, "no whole request");
        request.extend_from_slice(&part[..read]);
        let end = request.windows(4).position(|window| window == b"\r\n\r\n");
        let Some(end) = end else { continue };
        let head = String::from_utf8_lossy(&request[..end]).into_owned();
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        let mut lengths = lines.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let length = lengths.next().map_or(Ok(0), |(_, length)| length.parse::<usize>())?;
        if request.len() >= end + 4 + length {
            let head = head.replace("Connection: keep-alive", "Connection: close");
            return Ok([head.as_bytes(), &request[end..]].concat());
        }
    }
}

/// Returns an answer of this status with a body of this content type.
pub(crate) fn answer(status: &str, kind: &str, more: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{more}Content-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
