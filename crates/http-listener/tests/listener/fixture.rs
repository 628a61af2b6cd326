//! A listener whose handler answers whole bodies, streams and upgrades, with a recorded access log.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{FutureExt, Stream, StreamExt, stream};
use http_listener::{
    AccessLog, Drained, FinishedRequest, Handler, HttpService, Limits, PermitHolder, Rejection,
    RequestContext, ResponseBody, UpgradedStream, serve,
};
use hyper::{
    Method, Response, StatusCode,
    header::{self, HeaderValue},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::TEST_TIMEOUT;

/// Bytes of the response to `/large`: many times what the kernel buffers for the small receive
/// buffer of the tests' peers.
pub(crate) const LARGE: usize = 16 * 1024 * 1024;
const SMALL: &str = "small";
/// The holder of every permit.
const HOLDER: PermitHolder = PermitHolder { group: 1, member: 1 };
/// Bytes of a part of `/flood`.
const PART: usize = 16 * 1024;

/// An access log record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) method: Method,
    pub(crate) status: Option<u16>,
    pub(crate) bytes: usize,
    pub(crate) aborted: bool,
}

struct SentRecords(UnboundedSender<Record>);

impl AccessLog for SentRecords {
    fn write(&self, request: &FinishedRequest<'_>) {
        assert!(request.response_time <= request.duration);
        let (method, status) = (request.method.clone(), request.status.map(|code| code.as_u16()));
        let (bytes, aborted) = (request.bytes, request.aborted);
        self.0.send(Record { method, status, bytes, aborted }).unwrap();
    }
}

/// Answers `/large` with a large body and other paths with a small one, which need a work permit.
/// `/pending` has no answer. `/ticks`, `/flood` and `/three` are streams, `/echo`, `/deaf` and
/// `/spout` are protocols after an upgrade.
struct TestHandler {
    records: UnboundedSender<Record>,
    arrived: UnboundedSender<()>,
    large: Bytes,
    flooded: Arc<AtomicUsize>,
}

impl TestHandler {
    /// Returns the source of a stream.
    fn source(&self, path: &str) -> Option<impl Stream<Item = Bytes> + Send + use<>> {
        let tick = || sleep(Duration::from_millis(10)).map(|()| Bytes::from_static(b"tick"));
        let flooded = self.flooded.clone();
        Some(match path {
            "/ticks" => stream::repeat(()).then(move |()| tick()).boxed(),
            "/three" => stream::repeat(()).then(move |()| tick()).take(3).boxed(),
            "/flood" => stream::repeat_with(move || {
                flooded.fetch_add(PART, Ordering::SeqCst);
                Bytes::from(vec![b'x'; PART])
            })
            .boxed(),
            _ => return None,
        })
    }
}

/// Echoes until the peer or the listener ends the connection, and says `bye` at the stop.
async fn echo(mut stream: UpgradedStream, stop: CancellationToken) {
    let mut buffer = [0; 64];
    while let Some(Ok(count @ 1..)) = stop.run_until_cancelled(stream.read(&mut buffer)).await {
        let _ = stream.write_all(&buffer[..count]).await;
    }
    let _ = stream.write_all(b"bye").await;
}

/// Writes without end.
async fn spout(mut stream: UpgradedStream) {
    while stream.write_all(&[b'x'; PART]).await.is_ok() {}
}

/// Speaks the protocol of the path after an upgrade.
fn upgrade(path: &str) -> Option<ResponseBody> {
    Some(match path {
        "/echo" => ResponseBody::Upgrade(Box::new(|stream, stop| echo(stream, stop).boxed())),
        "/spout" => ResponseBody::Upgrade(Box::new(|stream, _| spout(stream).boxed())),
        "/deaf" => ResponseBody::Upgrade(Box::new(|stream, _| {
            async move {
                let _stream = stream;
                std::future::pending::<()>().await;
            }
            .boxed()
        })),
        _ => return None,
    })
}

#[async_trait]
impl Handler for TestHandler {
    type Log = SentRecords;

    fn start_log(&self) -> SentRecords {
        SentRecords(self.records.clone())
    }

    async fn handle(&self, request: &mut RequestContext<SentRecords>) -> Response<ResponseBody> {
        self.arrived.send(()).unwrap();
        let path = request.head.uri.path().to_owned();
        let (source, upgrade) = (self.source(&path), upgrade(&path));
        let (streams, is_upgrade) = (source.is_some() || upgrade.is_some(), upgrade.is_some());
        let permits = &request.permits;
        let permit = if streams { permits.stream(HOLDER) } else { permits.work(HOLDER) };
        let Ok(permit) = permit else {
            return with_status(StatusCode::TOO_MANY_REQUESTS).map(ResponseBody::Whole);
        };
        request.hold(permit);
        if is_upgrade && !request.can_upgrade() {
            return with_status(StatusCode::UPGRADE_REQUIRED).map(ResponseBody::Whole);
        }
        if let Some(source) = source {
            return Response::new(ResponseBody::Stream(source.boxed()));
        }
        if let Some(upgrade) = upgrade {
            return switching_protocols(upgrade);
        }
        Response::new(match &*path {
            "/large" => self.large.clone().into(),
            "/pending" => std::future::pending().await,
            _ => Bytes::from_static(SMALL.as_bytes()).into(),
        })
    }

    fn reject(&self, rejection: &Rejection) -> Response<Bytes> {
        with_status(rejection.status())
    }
}

fn with_status(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}

fn switching_protocols(upgrade: ResponseBody) -> Response<ResponseBody> {
    let mut response = Response::new(upgrade);
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("test"));
    response
}

/// A running listener.
pub(crate) struct RecordingServer {
    pub(crate) address: SocketAddr,
    pub(crate) stop: CancellationToken,
    served: JoinHandle<Drained>,
    pub(crate) records: UnboundedReceiver<Record>,
    pub(crate) arrived: UnboundedReceiver<()>,
    /// Bytes that `/flood` gave to all its streams.
    pub(crate) flooded: Arc<AtomicUsize>,
}

impl RecordingServer {
    /// Starts a listener with one work permit.
    pub(crate) async fn start(limits: Limits) -> Self {
        let ((records, received_records), (arrived, arrivals)) =
            (unbounded_channel(), unbounded_channel());
        let (large, flooded) = (vec![b'x'; LARGE].into(), Arc::<AtomicUsize>::default());
        let handler = TestHandler { records, arrived, large, flooded: flooded.clone() };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let service = HttpService::new(Arc::new(handler), Limits { requests: 1, ..limits });
        let served = tokio::spawn(serve(listener, service, stop.clone()));
        Self { address, stop, served, records: received_records, arrived: arrivals, flooded }
    }

    /// Sends a request over HTTP/1.1. The receive buffer of the peer is small.
    pub(crate) async fn ask(&self, method: &str, path: &str) -> TcpStream {
        self.ask_with(method, path, "connection: close").await
    }

    /// Sends a request with a further header.
    pub(crate) async fn ask_with(&self, method: &str, path: &str, header: &str) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut stream = socket.connect(self.address).await.unwrap();
        let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\n{header}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    }

    /// Returns the status of a request, and its access log record.
    pub(crate) async fn status(&mut self) -> (u16, Record) {
        let text = read_to_end(self.ask("GET", "/small").await).await;
        let status = String::from_utf8_lossy(&text[9..12]).parse().unwrap();
        (status, self.record().await)
    }

    pub(crate) async fn record(&mut self) -> Record {
        timeout(TEST_TIMEOUT, self.records.recv()).await.expect("a record in time").unwrap()
    }

    pub(crate) async fn assert_permit_is_taken(&mut self) {
        assert_eq!(self.status().await.0, 429);
    }

    pub(crate) async fn assert_permit_is_free(&mut self) {
        let record = Record { method: Method::GET, status: Some(200), bytes: 5, aborted: false };
        assert_eq!(self.status().await, (200, record));
    }

    pub(crate) async fn stopped(&mut self) -> Drained {
        self.stop.cancel();
        timeout(TEST_TIMEOUT, &mut self.served).await.expect("the listener stops").unwrap()
    }
}

pub(crate) async fn read_to_end(mut stream: TcpStream) -> Vec<u8> {
    let mut text = Vec::new();
    timeout(TEST_TIMEOUT, stream.read_to_end(&mut text)).await.unwrap().unwrap();
    text
}

/// Reads until the text ends with `end`.
pub(crate) async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = Vec::new();
    while !text.ends_with(end.as_bytes()) {
        let byte = timeout(TEST_TIMEOUT, stream.read_u8()).await;
        let byte = byte.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&text)));
        text.push(byte.expect("the connection is open"));
    }
    String::from_utf8(text).unwrap()
}
