//! A receiver of webhooks that records every connection and every request, and answers as a test
//! asks.

use std::{
    fmt,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::wait;

/// Time between two looks at a connection whose request hangs.
const POLL: Duration = Duration::from_millis(20);
/// Upper bound of the body of a request.
const MAX_BODY: usize = 1024 * 1024;

/// A request to the receiver.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Time at which the request was complete.
    pub at: Instant,
    /// Address and port that the sender dialled.
    pub dialled: SocketAddr,
    /// The request line without the protocol, such as `POST /hook`.
    pub target: String,
    /// Headers in their order.
    pub headers: Vec<(String, String)>,
    /// Body byte for byte.
    pub body: Vec<u8>,
}

impl Delivery {
    /// Returns the value of a header; names ignore case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.as_str())
    }

    /// Returns the body as JSON; null when the body is not JSON.
    pub fn event(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Returns the id of the event.
    pub fn id(&self) -> &str {
        self.header("webhook-id").unwrap_or_default()
    }

    /// Returns whether the request belongs to a replay.
    pub fn is_replay(&self) -> bool {
        self.header("x-webhook-replay").is_some()
    }
}

/// What the receiver does with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Answers with this status after the delay, with these further header lines.
    Status {
        /// Code of the status line.
        code: u16,
        /// Time before the answer.
        delay: Duration,
        /// Header lines, each with its line end.
        headers: String,
    },
    /// Sends no answer; the connection stays open until the sender closes the connection.
    Hang,
    /// Closes the connection without an answer.
    Close,
}

impl Answer {
    /// Returns an answer with this status at once.
    pub fn status(code: u16) -> Self {
        Self::Status { code, delay: Duration::ZERO, headers: String::new() }
    }

    /// Returns an answer with this status and header at once.
    pub fn with_header(code: u16, name: &str, value: &str) -> Self {
        Self::Status { code, delay: Duration::ZERO, headers: format!("{name}: {value}\r\n") }
    }

    /// Returns an answer with this status after this time.
    pub fn delayed(code: u16, delay: Duration) -> Self {
        Self::Status { code, delay, headers: String::new() }
    }
}

type Answering = dyn Fn(&Delivery) -> Answer + Send + Sync;

struct State {
    connections: Mutex<Vec<SocketAddr>>,
    deliveries: Mutex<Vec<Delivery>>,
    answer: Mutex<Arc<Answering>>,
    stopped: AtomicBool,
}

/// A running receiver. Dropping the value closes the port and ends hanging requests.
pub struct Receiver {
    address: SocketAddr,
    state: Arc<State>,
}

impl Receiver {
    /// Starts a receiver on a port of loopback that answers every request with 204.
    pub fn start() -> Result<Self> {
        Self::listen(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// Starts a receiver on this address. An unspecified address takes the connections to every
    /// address of the machine.
    pub fn listen(address: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(address).with_context(|| format!("no port {address}"))?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            connections: Mutex::default(),
            deliveries: Mutex::default(),
            answer: Mutex::new(Arc::new(|_| Answer::status(204))),
            stopped: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if accepting.stopped.load(Ordering::SeqCst) {
                    return; // closes the port
                }
                let state = Arc::clone(&accepting);
                thread::spawn(move || {
                    // a sender may break its connection at any time
                    let _ = state.serve(&stream);
                });
            }
        });
        Ok(Self { address, state })
    }

    /// Returns the URL of the receiver.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Decides all later answers.
    pub fn answer(&self, answer: impl Fn(&Delivery) -> Answer + Send + Sync + 'static) {
        *lock(&self.state.answer) = Arc::new(answer);
    }

    /// Returns the requests in the order of their arrival.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.deliveries_from(0)
    }

    /// As [`Self::deliveries`], without the first `start` requests.
    pub fn deliveries_from(&self, start: usize) -> Vec<Delivery> {
        lock(&self.state.deliveries).get(start..).unwrap_or_default().to_vec()
    }

    /// Returns the events in the order of their arrival, copies included.
    pub fn events(&self) -> Vec<Value> {
        lock(&self.state.deliveries).iter().map(Delivery::event).collect()
    }

    /// Returns the number of requests.
    pub fn count(&self) -> usize {
        lock(&self.state.deliveries).len()
    }

    /// Returns the addresses that senders dialled, one for each connection.
    pub fn connections(&self) -> Vec<SocketAddr> {
        lock(&self.state.connections).clone()
    }

    /// Forgets requests and connections.
    pub fn clear(&self) {
        lock(&self.state.deliveries).clear();
        lock(&self.state.connections).clear();
    }

    /// Waits until the requests fulfil the condition, and returns the requests.
    pub fn until(
        &self,
        what: &str,
        patience: Duration,
        is_so: impl Fn(&[Delivery]) -> bool,
    ) -> Result<Vec<Delivery>> {
        let seen = wait::until(what, patience, || {
            let deliveries = self.deliveries();
            Ok(is_so(&deliveries).then_some(deliveries))
        });
        seen.with_context(|| format!("the receiver has {:#?}", self.summary()))
    }

    /// Returns a line for each request.
    fn summary(&self) -> Vec<String> {
        let line = |one: &Delivery| {
            let event = one.event();
            let attempt = one.header("x-webhook-attempt").unwrap_or_default();
            let replay = if one.is_replay() { ", replay" } else { "" };
            let (kind, session, sequence) =
                (&event["event"], &event["session"], &event["sequence"]);
            format!("{kind} {session} {sequence}, attempt {attempt}{replay}")
        };
        lock(&self.state.deliveries).iter().map(line).collect()
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::SeqCst);
        let mut address = self.address;
        if address.ip().is_unspecified() {
            address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        }
        let _ = TcpStream::connect_timeout(&address, Duration::from_secs(1)); // wakes the thread
    }
}

impl State {
    /// Answers the requests of a connection until the sender closes the connection.
    fn serve(&self, stream: &TcpStream) -> Result<()> {
        let dialled = canonical(stream.local_addr()?);
        lock(&self.connections).push(dialled);
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream);
        while let Some(delivery) = read(&mut reader, dialled)? {
            if self.stopped.load(Ordering::SeqCst) {
                return Ok(());
            }
            let answer = Arc::clone(&lock(&self.answer));
            lock(&self.deliveries).push(delivery.clone());
            match answer(&delivery) {
                Answer::Status { code, delay, headers } => {
                    thread::sleep(delay);
                    let length = if code == 204 { "" } else { "Content-Length: 0\r\n" };
                    let text = format!("HTTP/1.1 {code} Test\r\n{length}{headers}\r\n");
                    (&mut &*stream).write_all(text.as_bytes())?;
                }
                Answer::Hang => return self.hang(stream),
                Answer::Close => return Ok(()),
            }
        }
        Ok(())
    }

    /// Keeps a connection open until the sender closes the connection or the receiver is dropped.
    fn hang(&self, mut stream: &TcpStream) -> Result<()> {
        stream.set_read_timeout(Some(POLL))?;
        let mut byte = [0];
        while !self.stopped.load(Ordering::SeqCst) {
            match stream.read(&mut byte) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// Reads a request; `None` at the end of the connection.
fn read(reader: &mut BufReader<&TcpStream>, dialled: SocketAddr) -> Result<Option<Delivery>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let target = line.rsplit_once(' ').map(|(target, _)| target.to_owned());
    let target = target.with_context(|| format!("no request line: {line:?}"))?;
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        ensure!(reader.read_line(&mut line)? > 0, "the request is cut off");
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut found = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let size = found.next().map_or(Ok(0), |(_, value)| value.parse::<usize>())?;
    ensure!(size <= MAX_BODY, "the body has {size} bytes");
    let mut body = vec![0; size];
    reader.read_exact(&mut body)?;
    Ok(Some(Delivery { at: Instant::now(), dialled, target, headers, body }))
}

/// Returns the address in its IPv4 form when the address is an IPv4 address.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Api;

    #[test]
    fn requests_are_recorded_and_answered_as_asked() {
        let receiver = Receiver::start().unwrap();
        let api = Api::new(&format!("http://{}", receiver.address), None);
        let post = |id: &str| api.send("POST", "/hook?a=1", &[("webhook-id", id)], Some(b"{}"));
        assert_eq!(post("one").unwrap().status, 204);
        receiver.answer(|delivery| match delivery.id() {
            "two" => Answer::with_header(302, "Location", "/"),
            _ => Answer::Close,
        });
        assert_eq!(post("two").unwrap().header("location"), Some("/"));
        post("three").unwrap_err();
        let seen = receiver.deliveries();
        let ids: Vec<_> = seen.iter().map(Delivery::id).collect();
        assert_eq!(ids, ["one", "two", "three"]);
        assert_eq!(
            (seen[0].target.as_str(), seen[0].event()),
            ("POST /hook?a=1", Value::from(serde_json::Map::new()))
        );
        assert_eq!(receiver.connections(), [receiver.address; 3]);
    }
}
