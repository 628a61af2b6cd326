//! Clients that hold connections, request slots and unread answers.

use std::{
    convert::Infallible,
    future::{Future, pending},
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use anyhow::Result;
use http_body_util::BodyExt as _;
use hyper::{
    Request,
    body::{Body, Bytes, Frame},
    client::conn::http2,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use testbed::client::Credential;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    runtime::{self, Runtime},
    task::JoinSet,
    time::sleep,
};

/// Pause before a closed connection is opened again.
const REOPEN: Duration = Duration::from_millis(200);
/// The same for silent connections, of which there are thousands.
const REOPEN_SILENT: Duration = Duration::from_secs(1);
/// Pause before an answered request is repeated.
const AGAIN: Duration = Duration::from_millis(100);
/// Interval between the bytes of a slow body over HTTP/1.1.
const DRIP: Duration = Duration::from_secs(1);

/// The connections, until the value is dropped.
#[derive(Debug)]
pub(crate) struct HostileClients {
    runtime: Option<Runtime>,
}

/// A request that is repeated.
#[derive(Clone, Debug)]
pub(crate) struct HostileRequest {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) credential: Option<Credential>,
    /// Whether the request has a body that does not end.
    pub(crate) slow: bool,
    /// Whether the client grants a window for the answer.
    pub(crate) read: bool,
}

impl HostileClients {
    /// Starts without connections.
    pub(crate) fn new() -> Result<Self> {
        let runtime =
            runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        Ok(Self { runtime: Some(runtime) })
    }

    /// Opens HTTP/2 connections that each keep a number of these requests in flight.
    pub(crate) fn hold_streams(
        &self,
        address: SocketAddr,
        connections: usize,
        streams: usize,
        requests: &[HostileRequest],
    ) {
        for which in 0..connections {
            let request = requests[which % requests.len()].clone();
            self.repeat(REOPEN, move || hold_streams(address, streams, request.clone()));
        }
    }

    /// Opens HTTP/1.1 connections that each send a body byte by byte.
    pub(crate) fn drip(&self, address: SocketAddr, connections: usize, request: &HostileRequest) {
        for _ in 0..connections {
            let request = request.clone();
            self.repeat(REOPEN, move || drip(address, request.clone()));
        }
    }

    /// Opens HTTP/1.1 connections that each repeat this request and read nothing.
    pub(crate) fn read_nothing(
        &self,
        address: SocketAddr,
        connections: usize,
        request: &HostileRequest,
    ) {
        for _ in 0..connections {
            let request = request.clone();
            self.repeat(REOPEN, move || read_nothing(address, request.clone()));
        }
    }

    /// Opens connections that send nothing.
    pub(crate) fn be_silent(&self, address: SocketAddr, connections: usize) {
        for _ in 0..connections {
            self.repeat(REOPEN_SILENT, move || be_silent(address));
        }
    }

    /// Opens a connection again whenever it ends, and ignores errors.
    fn repeat<F>(&self, pause: Duration, connection: impl Fn() -> F + Send + 'static)
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let Some(runtime) = &self.runtime else { return };
        runtime.spawn(async move {
            loop {
                let _ = connection().await;
                sleep(pause).await;
            }
        });
    }
}

impl Drop for HostileClients {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn hold_streams(address: SocketAddr, streams: usize, request: HostileRequest) -> Result<()> {
    let stream = TokioIo::new(TcpStream::connect(address).await?);
    let mut builder = http2::Builder::new(TokioExecutor::new());
    if !request.read {
        builder.initial_stream_window_size(0);
    }
    let (sender, connection) = builder.handshake::<_, Sent>(stream).await?;
    let mut held = JoinSet::new();
    for _ in 0..streams {
        let (mut sender, request) = (sender.clone(), request.clone());
        held.spawn(async move {
            while sender.ready().await.is_ok() {
                let Ok(request) = request.request(address) else { return };
                if let Ok(answer) = sender.send_request(request).await {
                    let mut body = answer.into_body();
                    while let Some(Ok(_)) = body.frame().await {}
                }
                sleep(AGAIN).await;
            }
        });
    }
    connection.await?;
    Ok(())
}

async fn drip(address: SocketAddr, request: HostileRequest) -> Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(&request.bytes(address)).await?;
    loop {
        sleep(DRIP).await;
        stream.write_all(b" ").await?;
    }
}

async fn read_nothing(address: SocketAddr, request: HostileRequest) -> Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    loop {
        stream.write_all(&request.bytes(address)).await?;
        sleep(AGAIN).await;
    }
}

async fn be_silent(address: SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.read_u8().await?;
    Ok(())
}

impl HostileRequest {
    /// Returns a `GET` of this path without a credential, whose answer is not read.
    pub(crate) fn unread(path: &str) -> Self {
        let path = path.to_owned();
        Self { method: "GET", path, credential: None, slow: false, read: false }
    }

    /// Returns a `GET` of this path whose answer is read.
    pub(crate) fn get(path: String, credential: Option<&Credential>) -> Self {
        let credential = credential.cloned();
        Self { method: "GET", path, credential, slow: false, read: true }
    }

    /// Returns a `POST` to this path with a body that does not end.
    pub(crate) fn slow_post(path: &str, credential: Option<&Credential>) -> Self {
        Self { method: "POST", slow: true, ..Self::get(path.to_owned(), credential) }
    }

    fn request(&self, address: SocketAddr) -> Result<Request<Sent>> {
        let uri = format!("http://{address}{}", self.path);
        let mut request = Request::builder().method(self.method).uri(uri);
        if let Some((name, value)) = self.credential.as_ref().map(Credential::header) {
            request = request.header(name, value);
        }
        if self.slow {
            request = request.header("content-type", "application/json");
        }
        Ok(request.body(if self.slow { Sent::Slowly { begun: false } } else { Sent::Whole })?)
    }

    fn bytes(&self, address: SocketAddr) -> Vec<u8> {
        let Self { method, path, credential, slow, .. } = self;
        let header = credential.as_ref().map(Credential::header);
        let header = header.map(|(name, value)| format!("{name}: {value}\r\n")).unwrap_or_default();
        let body = "Content-Type: application/json\r\nContent-Length: 60000\r\n";
        let body = if *slow { body } else { "" };
        format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n{header}{body}\r\n").into_bytes()
    }
}

/// The body of a request.
enum Sent {
    Whole,
    Slowly { begun: bool },
}

impl Body for Sent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Whole => Poll::Ready(None),
            Self::Slowly { begun: false } => {
                *self = Self::Slowly { begun: true };
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"{")))))
            }
            Self::Slowly { begun: true } => {
                std::pin::pin!(pending::<()>()).poll(context).map(|()| None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole)
    }
}
