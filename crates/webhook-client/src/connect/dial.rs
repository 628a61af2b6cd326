//! Opens a TCP connection to the first address that answers.

use std::{io, net::SocketAddr, time::Duration};

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::{net::TcpStream, time::sleep};

/// The maximum number of addresses that are dialled for one connection.
const MAX_DIALS: usize = 8;

/// Opens TCP connections, as a replaceable step.
#[async_trait]
pub trait Dial: Send + Sync + 'static {
    /// Connects to `address`, without a time limit.
    ///
    /// # Errors
    /// When the connection is refused or the address cannot be reached.
    async fn dial(&self, address: SocketAddr) -> io::Result<TcpStream>;
}

/// TCP connections of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemDial;

#[async_trait]
impl Dial for SystemDial {
    async fn dial(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// Dials the addresses in turn, the next one `gap` after the last or as soon as all before have
/// failed, and returns the first open connection.
pub(super) async fn dial_in_turn(
    dial: &dyn Dial,
    addresses: &[SocketAddr],
    gap: Duration,
) -> io::Result<TcpStream> {
    let mut waiting = in_turn(addresses).into_iter();
    let mut dials = FuturesUnordered::new();
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        if let Some(address) = waiting.next() {
            dials.push(dial.dial(address));
        }
        let more = waiting.len() > 0;
        tokio::select! {
            opened = first_open(&mut dials, &mut failure) => match opened {
                Some(stream) => return Ok(stream),
                None if more => {}
                None => return Err(failure),
            },
            () = sleep(gap), if more => {}
        }
    }
}

/// Returns the first open connection, or `None` when every dial has failed; `failure` is the last
/// error.
async fn first_open<F: Future<Output = io::Result<TcpStream>>>(
    dials: &mut FuturesUnordered<F>,
    failure: &mut io::Error,
) -> Option<TcpStream> {
    while let Some(result) = dials.next().await {
        match result {
            Ok(stream) => return Some(stream),
            Err(error) => *failure = error,
        }
    }
    None
}

/// Returns the addresses in the order of dialling: IPv4 and IPv6 alternate, IPv4 first, so that
/// neither an IPv6 nor an IPv4 black hole delays the other family by more than one gap.
fn in_turn(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let of = |ipv4: bool| addresses.iter().copied().filter(move |a| a.is_ipv4() == ipv4);
    let (mut ipv4, mut ipv6) = (of(true), of(false));
    let pairs = std::iter::from_fn(|| {
        let pair = [ipv4.next(), ipv6.next()];
        (pair != [None, None]).then_some(pair)
    });
    pairs.flatten().flatten().take(MAX_DIALS).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Records the dialled addresses: those of port 1 hang, those of port 2 fail, and the others
    /// connect to a listener.
    struct Recorder {
        dialled: Mutex<Vec<SocketAddr>>,
        listener: SocketAddr,
    }

    #[async_trait]
    impl Dial for Recorder {
        async fn dial(&self, address: SocketAddr) -> io::Result<TcpStream> {
            self.dialled.lock().unwrap().push(address);
            match address.port() {
                1 => std::future::pending().await,
                2 => Err(io::ErrorKind::ConnectionRefused.into()),
                _ => TcpStream::connect(self.listener).await,
            }
        }
    }

    async fn dialled(addresses: &[&str], gap: Duration) -> (Vec<String>, bool) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listener_address = listener.local_addr().unwrap();
        let recorder = Recorder { dialled: Mutex::default(), listener: listener_address };
        let addresses: Vec<_> = addresses.iter().map(|text| text.parse().unwrap()).collect();
        let connected = dial_in_turn(&recorder, &addresses, gap).await.is_ok();
        let dialled = recorder.dialled.into_inner().unwrap();
        (dialled.iter().map(ToString::to_string).collect(), connected)
    }

    const SHORT: Duration = Duration::from_millis(10);
    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn families_alternate_and_ipv4_is_first() {
        let addresses = ["[2001::1]:2", "[2001::2]:2", "1.1.1.1:2", "1.1.1.2:2", "1.1.1.3:2"];
        let (order, connected) = dialled(&addresses, LONG).await;
        let expected = ["1.1.1.1:2", "[2001::1]:2", "1.1.1.2:2", "[2001::2]:2", "1.1.1.3:2"];
        assert_eq!(order, expected);
        assert!(!connected);
    }

    #[tokio::test]
    async fn black_hole_delays_the_next_address_by_one_gap() {
        let (order, connected) = dialled(&["1.1.1.1:1", "[2001::1]:1", "1.1.1.2:80"], SHORT).await;
        assert_eq!(order, ["1.1.1.1:1", "[2001::1]:1", "1.1.1.2:80"]);
        assert!(connected);
    }

    #[tokio::test]
    async fn failure_starts_the_next_address_at_once() {
        let (order, connected) = dialled(&["1.1.1.1:2", "1.1.1.2:80", "1.1.1.3:80"], LONG).await;
        assert_eq!(order, ["1.1.1.1:2", "1.1.1.2:80"]);
        assert!(connected);
    }

    #[tokio::test]
    async fn number_of_dials_is_limited() {
        let (order, connected) = dialled(&["1.1.1.1:2"; 64], LONG).await;
        assert_eq!((order.len(), connected), (MAX_DIALS, false));
        assert_eq!(dialled(&[], LONG).await, (Vec::new(), false));
    }
}
