//! Receivers on raw sockets, whose behaviour is an async function.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;

/// A listener on loopback with the requests that it read.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    log: Log,
    _task: AbortOnDropHandle<()>,
}

/// What the connections of a receiver have in common.
#[derive(Clone, Default)]
pub(crate) struct Log {
    accepted: Arc<AtomicUsize>,
    closed: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
}

/// One accepted connection.
pub(crate) struct Peer<S = TcpStream> {
    pub(crate) stream: S,
    log: Log,
}

impl Receiver {
    /// Starts a receiver that runs `serve` for each connection.
    pub(crate) async fn start<F, Fut>(serve: F) -> Self
    where
        F: Fn(Peer) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let log = Log::default();
        let of_connections = log.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let log = of_connections.clone();
                log.accepted.fetch_add(1, Ordering::SeqCst);
                let served = serve(Peer { stream, log: log.clone() });
                tokio::spawn(async move {
                    served.await;
                    log.closed.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, log, _task: AbortOnDropHandle::new(task) }
    }

    /// Starts a receiver that answers every request with `200 OK`.
    pub(crate) async fn healthy() -> Self {
        Self::start(|mut peer| async move {
            while peer.request().await.is_some() {
                peer.write(OK).await;
            }
        })
        .await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Returns the number of accepted connections.
    pub(crate) fn accepted(&self) -> usize {
        self.log.accepted.load(Ordering::SeqCst)
    }

    /// Returns the requests in the order of their arrival.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.log.requests.lock().unwrap().clone()
    }

    /// Waits until `count` connections are open.
    pub(crate) async fn wait_until_open(&self, count: usize) {
        let open = || self.accepted() - self.log.closed.load(Ordering::SeqCst);
        let waiting = async {
            while open() != count {
                sleep(Duration::from_millis(2)).await;
            }
        };
        let waited = timeout(Duration::from_secs(30), waiting).await;
        assert!(waited.is_ok(), "{} connections are open, not {count}", open());
    }
}

/// A response whose connection stays open.
pub(crate) const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    /// Reads one request with its body; `None` when the connection has ended.
    pub(crate) async fn request(&mut self) -> Option<String> {
        let (mut text, mut missing) = (Vec::new(), None);
        while missing != Some(0) {
            let byte = self.stream.read_u8().await.ok()?;
            text.push(byte);
            match &mut missing {
                Some(missing) => *missing -= 1,
                None if text.ends_with(b"\r\n\r\n") => missing = Some(body_length(&text)),
                None => {}
            }
        }
        let text = String::from_utf8(text).unwrap();
        self.log.requests.lock().unwrap().push(text.clone());
        Some(text)
    }

    /// Writes the bytes, as far as the other end takes them; returns whether the end took all.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok() && self.stream.flush().await.is_ok()
    }

    /// Writes one byte after the other with pauses between them.
    pub(crate) async fn trickle(&mut self, bytes: &[u8], pause: Duration) {
        for byte in bytes {
            if !self.write(&[*byte]).await {
                return;
            }
            sleep(pause).await;
        }
    }

    /// Reads until the other end closes the connection.
    pub(crate) async fn hold(&mut self) {
        while let Ok(1..) = self.stream.read(&mut [0; 4096]).await {}
    }
}

impl Peer<()> {
    pub(crate) fn map<S>(self, stream: S) -> Peer<S> {
        Peer { stream, log: self.log }
    }
}

impl Peer {
    /// Separates the socket, for a protocol on top of it.
    pub(crate) fn split(self) -> (TcpStream, Peer<()>) {
        (self.stream, Peer { stream: (), log: self.log })
    }

    /// Resets the connection.
    pub(crate) fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }
}

fn body_length(head: &[u8]) -> usize {
    let head = std::str::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.map_or(0, |length| length.parse().unwrap())
}
