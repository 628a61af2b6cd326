//! A TCP proxy on loopback whose two directions can be broken separately while the proxy runs.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::Result;

/// Time within which an idle connection notices a change of the flow.
const POLL: Duration = Duration::from_millis(50);

/// The treatment of bytes in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// Delivers bytes.
    Pass,
    /// Drops bytes and the end of the connection: no side sees a close, as after a NAT time-out.
    Swallow,
    /// Closes the connection for the receiver.
    Cut,
}

/// The direction of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the side that connects.
    There,
    /// From the side that accepts.
    Back,
}

/// A running proxy. Dropping the value closes its connections.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    state: Arc<ProxyState>,
}

#[derive(Debug)]
struct ProxyState {
    target: SocketAddr,
    flows: Mutex<[Flow; 2]>,
    open: AtomicUsize,
    stopped: AtomicBool,
}

impl Proxy {
    /// Listens on loopback and forwards every connection to this target.
    pub(crate) fn to(target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let state = Arc::new(ProxyState {
            target,
            flows: Mutex::new([Flow::Pass; 2]),
            open: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
        });
        let carrying = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if carrying.stopped.load(Ordering::SeqCst) {
                    return; // closes the port
                }
                if let Ok(server) = TcpStream::connect(carrying.target) {
                    let _ = carry(&carrying, client, server);
                }
            }
        });
        Ok(Self { address, state })
    }

    /// Returns the address of the listener.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets the flow of these directions, for present and future connections.
    pub(crate) fn set(&self, directions: &[Direction], flow: Flow) {
        let mut flows = self.state.flows.lock().unwrap_or_else(PoisonError::into_inner);
        for direction in directions {
            flows[*direction as usize] = flow;
        }
    }

    /// Delivers again. A connection that has lost bytes is closed.
    pub(crate) fn mend(&self) {
        self.set(&[Direction::There, Direction::Back], Flow::Pass);
    }

    /// Returns the number of connections that neither side has closed.
    pub(crate) fn open(&self) -> usize {
        self.state.open.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address); // wakes the listener
    }
}

impl ProxyState {
    fn flow(&self, direction: Direction) -> Flow {
        self.flows.lock().unwrap_or_else(PoisonError::into_inner)[direction as usize]
    }
}

fn carry(state: &Arc<ProxyState>, client: TcpStream, server: TcpStream) -> Result<()> {
    let ended = Arc::new(AtomicBool::new(false));
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(POLL))?;
    }
    let ends = [(client.try_clone()?, server.try_clone()?), (server, client)];
    state.open.fetch_add(1, Ordering::SeqCst);
    for (direction, (from, to)) in [Direction::There, Direction::Back].into_iter().zip(ends) {
        let (state, ended) = (Arc::clone(state), Arc::clone(&ended));
        thread::spawn(move || {
            pump(&state, direction, &from, &to);
            let _ = to.shutdown(Shutdown::Write);
            if !ended.swap(true, Ordering::SeqCst) {
                state.open.fetch_sub(1, Ordering::SeqCst);
            }
        });
    }
    Ok(())
}

/// Forwards one direction of a connection to its end.
fn pump(state: &ProxyState, direction: Direction, from: &TcpStream, to: &TcpStream) {
    let (mut from, mut to) = (from, to);
    let mut buffer = vec![0; 64 * 1024];
    // `over`: the sender has closed. `torn`: bytes were lost, so the stream cannot continue.
    let (mut over, mut torn) = (false, false);
    while !state.stopped.load(Ordering::SeqCst) {
        let read = if over { Ok(None) } else { read(from.read(&mut buffer)) };
        let flow = state.flow(direction);
        match (flow, read) {
            (_, Err(_)) | (Flow::Cut | Flow::Pass, Ok(Some(0))) => return,
            (Flow::Cut, Ok(_)) => {
                let _ = to.shutdown(Shutdown::Write);
            }
            (Flow::Swallow, Ok(Some(0))) => over = true,
            (Flow::Swallow, Ok(Some(_))) => torn = true,
            (Flow::Pass, Ok(_)) if over => return,
            (Flow::Pass, Ok(_)) if torn => {
                let _ = from.shutdown(Shutdown::Both);
                let _ = to.shutdown(Shutdown::Both);
                return;
            }
            (Flow::Pass, Ok(Some(count))) if to.write_all(&buffer[..count]).is_err() => return,
            (_, Ok(_)) => {}
        }
        if over {
            thread::sleep(POLL); // the close is held back until the flow passes again
        }
    }
}

/// Returns the number of bytes, 0 at the end, `None` after a time-out.
fn read(read: std::io::Result<usize>) -> std::io::Result<Option<usize>> {
    match read {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Ok(None)
        }
        read => read.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const BOTH: [Direction; 2] = [Direction::There, Direction::Back];

    /// Returns a proxy to an echo server.
    fn echo() -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
            }
        });
        Proxy::to(address).unwrap()
    }

    fn connect(proxy: &Proxy) -> TcpStream {
        let stream = TcpStream::connect(proxy.address()).unwrap();
        stream.set_read_timeout(Some(POLL * 6)).unwrap();
        stream
    }

    /// Sends a byte and returns the number of bytes that come back, 0 at the end, `None` after a
    /// time-out.
    fn sent(mut stream: &TcpStream) -> std::io::Result<Option<usize>> {
        let _ = stream.write_all(b"x");
        read(stream.read(&mut [0; 8]))
    }

    fn until(mut is_so: impl FnMut() -> bool) {
        let end = Instant::now() + Duration::from_secs(5);
        while !is_so() {
            assert!(Instant::now() < end, "not within 5 s");
            thread::yield_now();
        }
    }

    #[test]
    fn bytes_pass_and_closed_connections_are_not_counted() {
        let proxy = echo();
        let (one, other) = (connect(&proxy), connect(&proxy));
        assert_eq!((sent(&one).unwrap(), sent(&other).unwrap()), (Some(1), Some(1)));
        assert_eq!(proxy.open(), 2);
        drop(one);
        until(|| proxy.open() == 1);
    }

    #[test]
    fn silent_direction_delivers_nothing_and_its_connections_end_after_the_repair() {
        let proxy = echo();
        for direction in BOTH {
            let stream = connect(&proxy);
            assert_eq!(sent(&stream).unwrap(), Some(1));
            proxy.set(&[direction], Flow::Swallow);
            assert_eq!(sent(&stream).unwrap(), None, "{direction:?}");
            proxy.mend();
            until(|| matches!(sent(&stream), Ok(Some(0)) | Err(_)));
            assert_eq!(sent(&connect(&proxy)).unwrap(), Some(1));
        }
    }

    #[test]
    fn cut_ends_present_and_new_connections() {
        let proxy = echo();
        let old = connect(&proxy);
        assert_eq!(sent(&old).unwrap(), Some(1));
        proxy.set(&BOTH, Flow::Cut);
        for stream in [old, connect(&proxy)] {
            until(|| matches!(sent(&stream), Ok(Some(0)) | Err(_)));
        }
        proxy.mend();
        assert_eq!(sent(&connect(&proxy)).unwrap(), Some(1));
    }
}
