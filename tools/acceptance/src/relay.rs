//! A relay on loopback in front of berth: adds a header to each request, and cuts connections at
//! chosen places of the answer.
//!
//! The first segment of a path names a route and is not forwarded: `/first/api/v1/events` goes to
//! berth as `/api/v1/events`. Each connection carries one request.

use std::{
    collections::BTreeMap,
    fmt,
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use testbed::{
    client::{Api, Credential},
    http,
};

/// Maximum length of the head of a request in bytes.
const MAX_HEAD: usize = 16 * 1024;
/// Interval in which a held connection looks whether its route is released.
const POLL: Duration = Duration::from_millis(10);

/// The place at which a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Before the request is forwarded.
    Unanswered,
    /// This number of bytes behind an occurrence of a text in the answer, counted from 1.
    Behind {
        /// The text.
        text: &'static str,
        /// The number of the occurrence.
        occurrence: usize,
        /// Bytes that follow the occurrence and are forwarded.
        more: usize,
    },
    /// Never; the request is forwarded once the route is released.
    Held,
}

/// Answers a request itself instead of forwarding it; `None` for requests to forward. The arguments
/// are method and path, and the body.
pub type LocalAnswer = Box<dyn Fn(&str, &[u8]) -> Option<Vec<u8>> + Send + Sync>;

/// A running relay. Dropping the value stops new connections.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    target: SocketAddr,
    /// A line of the head that is added to each request; empty for none.
    header: String,
    local: LocalAnswer,
    routes: Mutex<BTreeMap<String, Route>>,
    is_stopped: AtomicBool,
}

/// The connections of one name.
#[derive(Debug, Default)]
struct Route {
    /// The cut of each connection in order. Further connections are not cut.
    cuts: Vec<Cut>,
    connections: usize,
    cut_off: usize,
    is_released: bool,
}

/// A request as received.
struct Request {
    /// Method and path.
    target: String,
    /// The other lines of the head.
    headers: Vec<String>,
    body: Vec<u8>,
}

impl Relay {
    /// Listens on loopback in front of the deployment of `api`, with the credential of `api` in each
    /// request that is forwarded.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn start(api: &Api, routes: &[(&str, &[Cut])], local: LocalAnswer) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let route = |cuts: &[Cut]| Route { cuts: cuts.to_vec(), ..Route::default() };
        let routes = routes.iter().map(|(name, cuts)| ((*name).to_owned(), route(cuts)));
        let header = api.credential().map(Credential::header);
        let header = header.map(|(name, value)| format!("{name}: {value}\r\n"));
        let shared = Arc::new(Shared {
            target: http::address(api.base())?,
            header: header.unwrap_or_default(),
            local,
            routes: Mutex::new(routes.collect()),
            is_stopped: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if accepting.is_stopped.load(Ordering::SeqCst) {
                    return; // closes the port
                }
                let shared = Arc::clone(&accepting);
                // A client may close at any time.
                thread::spawn(move || drop(shared.serve(&client)));
            }
        });
        Ok(Self { address, shared })
    }

    /// Returns the address of the listener.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the number of connections of a route that the relay has cut.
    pub fn cut_off(&self, route: &str) -> usize {
        self.shared.routes().get(route).map_or(0, |route| route.cut_off)
    }

    /// Returns whether every planned cut of every route has happened, and a further connection is
    /// open or held.
    pub fn is_past_all_cuts(&self) -> bool {
        let is_planned = |cut: &&Cut| **cut != Cut::Held;
        self.shared.routes().values().all(|route| {
            let planned = route.cuts.iter().filter(is_planned).count();
            route.cut_off == planned && route.connections > planned
        })
    }

    /// Lets the held connections of a route go on.
    pub fn release(&self, route: &str) {
        if let Some(route) = self.shared.routes().get_mut(route) {
            route.is_released = true;
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.is_stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address); // wakes the listener
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("target", &self.target).finish_non_exhaustive()
    }
}

impl Shared {
    fn routes(&self) -> MutexGuard<'_, BTreeMap<String, Route>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, mut client: &TcpStream) -> Result<()> {
        client.set_nodelay(true)?;
        let request = Request::read(client)?;
        if let Some(answer) = (self.local)(&request.target, &request.body) {
            return Ok(client.write_all(&answer)?);
        }
        let (name, forwarded) = request.routed().context("no route in the path")?;
        let cut = {
            let mut routes = self.routes();
            let route = routes.get_mut(name).context("an unknown route")?;
            route.connections += 1;
            route.cuts.get(route.connections - 1).copied()
        };
        match cut {
            Some(Cut::Unanswered) => {}
            Some(Cut::Held) => {
                while !self.routes().get(name).is_none_or(|route| route.is_released) {
                    thread::sleep(POLL);
                }
                return self.forward(client, &forwarded, None).map(drop);
            }
            cut => {
                if !self.forward(client, &forwarded, cut)? {
                    return Ok(());
                }
            }
        }
        let _ = client.shutdown(Shutdown::Both);
        if let Some(route) = self.routes().get_mut(name) {
            route.cut_off += 1;
        }
        Ok(())
    }

    /// Forwards a request and its answer. Returns whether the answer was cut.
    fn forward(&self, mut client: &TcpStream, head: &str, cut: Option<Cut>) -> Result<bool> {
        let mut server = TcpStream::connect(self.target)?;
        server.set_nodelay(true)?;
        write!(server, "{head}{}\r\n", self.header)?;
        let (upward, from) = (server.try_clone()?, client.try_clone()?);
        thread::spawn(move || {
            let _ = std::io::copy(&mut &from, &mut &upward);
            let _ = upward.shutdown(Shutdown::Both); // the client has closed
        });
        let (mut sent, mut buffer) = (Vec::new(), vec![0; 16 * 1024]);
        loop {
            let count = server.read(&mut buffer)?;
            if count == 0 {
                client.shutdown(Shutdown::Write)?;
                return Ok(false);
            }
            let before = sent.len();
            sent.extend_from_slice(&buffer[..count]);
            let end = cut.and_then(|cut| cut.place(&sent)).filter(|end| *end <= sent.len());
            client.write_all(&sent[before..end.unwrap_or(sent.len()).max(before)])?;
            if end.is_some() {
                let _ = server.shutdown(Shutdown::Both);
                return Ok(true);
            }
        }
    }
}

impl Cut {
    /// Returns the number of bytes of an answer that precede the cut; `None` while the text has not
    /// come.
    fn place(self, answer: &[u8]) -> Option<usize> {
        let Self::Behind { text, occurrence, more } = self else { return None };
        let found = answer.windows(text.len()).enumerate();
        let found = found.filter(|(_, window)| *window == text.as_bytes());
        found.map(|(at, _)| at + text.len() + more).nth(occurrence - 1)
    }
}

impl Request {
    fn read(mut client: &TcpStream) -> Result<Self> {
        let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
        let head = loop {
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
            ensure!(bytes.len() < MAX_HEAD, "the head is too long");
            match client.read(&mut buffer)? {
                0 => bail!("no request"),
                count => bytes.extend_from_slice(&buffer[..count]),
            }
        };
        let mut body = bytes.split_off(head + 4);
        let text = String::from_utf8(bytes)?;
        let mut lines = text.trim_end().split("\r\n").map(str::to_owned);
        let target = lines.next().unwrap_or_default();
        let headers: Vec<_> = lines.collect();
        let length = headers.iter().find_map(|line| value_of(line, "content-length"));
        let length: usize = length.map_or(Ok(0), str::parse)?;
        while body.len() < length {
            match client.read(&mut buffer)? {
                0 => bail!("the body ends early"),
                count => body.extend_from_slice(&buffer[..count]),
            }
        }
        let target = target.trim_end_matches(" HTTP/1.1").to_owned();
        Ok(Self { target, headers, body })
    }

    /// Returns the name of the route, and the head to forward without its end. The connection of a
    /// request without an upgrade closes after its answer, and so carries no other request.
    fn routed(&self) -> Option<(&str, String)> {
        let (method, path) = self.target.split_once(" /")?;
        let (name, path) = path.split_once('/')?;
        let upgrades = self.headers.iter().any(|line| value_of(line, "upgrade").is_some());
        let is_kept = |line: &&String| upgrades || value_of(line, "connection").is_none();
        let mut lines = vec![format!("{method} /{path} HTTP/1.1")];
        lines.extend(self.headers.iter().filter(is_kept).cloned());
        if !upgrades {
            lines.push("Connection: close".to_owned());
        }
        Some((name, lines.join("\r\n") + "\r\n"))
    }
}

/// Returns the value of a line of the head if its name, which ignores case, is this one.
fn value_of<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (key, value) = line.split_once(':')?;
    key.eq_ignore_ascii_case(name).then(|| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_is_behind_the_chosen_occurrence() {
        let cut = |occurrence, more| Cut::Behind { text: "id:", occurrence, more };
        let answer = b"id: 1\n\nid: 2\n\n";
        assert_eq!(cut(1, 0).place(answer), Some(3));
        assert_eq!(cut(2, 4).place(answer), Some(14));
        assert_eq!(cut(3, 0).place(answer), None);
        assert_eq!(Cut::Held.place(answer), None);
    }

    #[test]
    fn route_is_not_forwarded_and_one_request_ends_the_connection() {
        let request = |lines: &[&str]| Request {
            target: "GET /a/api/v1/events?after=earliest".to_owned(),
            headers: lines.iter().map(|line| (*line).to_owned()).collect(),
            body: Vec::new(),
        };
        let plain = request(&["Host: x", "Connection: keep-alive"]);
        let head = "GET /api/v1/events?after=earliest HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
        assert_eq!(plain.routed(), Some(("a", head.to_owned())));
        let upgrade = request(&["Connection: Upgrade", "Upgrade: websocket"]);
        let head = upgrade.routed().unwrap().1;
        assert!(head.ends_with("\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"), "{head}");
    }
}
