//! A relay in front of PostgreSQL that can go down, fall silent, and offer TLS.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_rustls::TlsAcceptor;

/// The behaviour of the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Forwards all bytes.
    Open,
    /// Closes existing and new connections.
    Down,
    /// Keeps connections open and forwards nothing.
    Silent,
}

/// Counts of the clients' connections.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    encrypted: AtomicU32,
    plain: AtomicU32,
}

impl Observed {
    /// Returns the number of plain and of encrypted connections.
    pub(crate) fn plain_and_encrypted(&self) -> (u32, u32) {
        (self.plain.load(Ordering::SeqCst), self.encrypted.load(Ordering::SeqCst))
    }
}

/// A running relay; ends with the runtime of its test.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    pub(crate) observed: Arc<Observed>,
    mode: watch::Sender<Mode>,
}

impl Proxy {
    /// Starts a relay to the server on this port of this machine. With `tls` the relay offers TLS
    /// to its clients, otherwise it declines.
    pub(crate) async fn new(upstream: u16, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let (mode, watched) = watch::channel(Mode::Open);
        let observed = Arc::new(Observed::default());
        let seen_too = observed.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let relay = relay(client, upstream, tls.clone(), watched.clone(), seen_too.clone());
                tokio::spawn(relay);
            }
        });
        Self { port, observed, mode }
    }

    /// Changes the behaviour.
    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

async fn relay(
    client: TcpStream,
    upstream: u16,
    tls: Option<TlsAcceptor>,
    mut mode: watch::Receiver<Mode>,
    observed: Arc<Observed>,
) {
    let mut down = mode.clone();
    tokio::select! {
        _ = down.wait_for(|mode| *mode == Mode::Down) => {}
        () = async {
            let _ = mode.wait_for(|mode| *mode == Mode::Open).await;
            let _ = greet(client, upstream, tls, mode, observed).await;
        } => {}
    }
}

/// The eight bytes with which a client requests TLS.
const TLS_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

async fn greet(
    mut client: TcpStream,
    upstream: u16,
    tls: Option<TlsAcceptor>,
    mode: watch::Receiver<Mode>,
    observed: Arc<Observed>,
) -> std::io::Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", upstream)).await?;
    let mut first = [0; 8];
    client.read_exact(&mut first).await?;
    if first == TLS_REQUEST {
        if let Some(tls) = tls {
            client.write_all(b"S").await?;
            let client = tls.accept(client).await?;
            observed.encrypted.fetch_add(1, Ordering::SeqCst);
            return both_ways(client, server, mode).await;
        }
        client.write_all(b"N").await?;
        client.read_exact(&mut first).await?;
    }
    observed.plain.fetch_add(1, Ordering::SeqCst);
    server.write_all(&first).await?;
    both_ways(client, server, mode).await
}

async fn both_ways(
    client: impl AsyncRead + AsyncWrite,
    server: TcpStream,
    mode: watch::Receiver<Mode>,
) -> std::io::Result<()> {
    let (from_client, to_client) = tokio::io::split(client);
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        ended = pump(from_client, to_server, mode.clone()) => ended,
        ended = pump(from_server, to_client, mode.clone()) => ended,
    }
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut mode: watch::Receiver<Mode>,
) -> std::io::Result<()> {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let count = from.read(&mut bytes).await?;
        if count == 0 || mode.wait_for(|mode| *mode != Mode::Silent).await.is_err() {
            return Ok(());
        }
        to.write_all(&bytes[..count]).await?;
        to.flush().await?;
    }
}
