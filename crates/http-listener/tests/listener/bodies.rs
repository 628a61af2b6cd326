//! A request lasts until the body of its response is written or dropped: its permit, its access log
//! record, and the stop of the listener.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use http_listener::{
    AccessLog, Drained, FinishedRequest, Handler, HttpService, Limits, PermitHolder, Rejection,
    RequestContext, serve,
};
use hyper::{Method, Request, Response, StatusCode, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::TEST_TIMEOUT;

/// Bytes of the response to `/large`: many times what the kernel buffers for the small receive
/// buffer of the tests' peers.
const LARGE: usize = 16 * 1024 * 1024;
const SMALL: &str = "small";
/// The holder of every permit.
const HOLDER: PermitHolder = PermitHolder { group: 1, member: 1 };

/// An access log record.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Record {
    method: Method,
    status: Option<u16>,
    bytes: usize,
    aborted: bool,
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

/// Answers `/large` with a large body and other paths with a small one. Every request needs a work
/// permit. `/pending` has no answer.
struct TestHandler {
    records: UnboundedSender<Record>,
    arrived: UnboundedSender<()>,
    large: Bytes,
}

#[async_trait]
impl Handler for TestHandler {
    type Log = SentRecords;

    fn start_log(&self) -> SentRecords {
        SentRecords(self.records.clone())
    }

    async fn handle(&self, request: &mut RequestContext<SentRecords>) -> Response<Bytes> {
        self.arrived.send(()).unwrap();
        let Ok(permit) = request.permits.work(HOLDER) else {
            return with_status(StatusCode::TOO_MANY_REQUESTS);
        };
        request.hold(permit);
        match request.head.uri.path() {
            "/large" => Response::new(self.large.clone()),
            "/pending" => std::future::pending().await,
            _ => Response::new(Bytes::from_static(SMALL.as_bytes())),
        }
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

struct TestServer {
    address: SocketAddr,
    stop: CancellationToken,
    served: JoinHandle<Drained>,
    records: UnboundedReceiver<Record>,
    arrived: UnboundedReceiver<()>,
}

impl TestServer {
    /// Starts a listener with one work permit.
    async fn start(limits: Limits) -> Self {
        let ((records, received_records), (arrived, arrivals)) =
            (unbounded_channel(), unbounded_channel());
        let handler = TestHandler { records, arrived, large: vec![b'x'; LARGE].into() };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let service = HttpService::new(Arc::new(handler), Limits { requests: 1, ..limits });
        let served = tokio::spawn(serve(listener, service, stop.clone()));
        Self { address, stop, served, records: received_records, arrived: arrivals }
    }

    /// Sends a request over HTTP/1.1. The receive buffer of the peer is small.
    async fn ask(&self, method: &str, path: &str) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut stream = socket.connect(self.address).await.unwrap();
        let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    }

    /// Returns the status of a request, and its access log record.
    async fn status(&mut self) -> (u16, Record) {
        let text = read_to_end(self.ask("GET", "/small").await).await;
        let status = String::from_utf8_lossy(&text[9..12]).parse().unwrap();
        (status, self.record().await)
    }

    async fn record(&mut self) -> Record {
        timeout(TEST_TIMEOUT, self.records.recv()).await.expect("a record in time").unwrap()
    }

    async fn assert_permit_is_taken(&mut self) {
        assert_eq!(self.status().await.0, 429);
    }

    async fn assert_permit_is_free(&mut self) {
        let record = Record { method: Method::GET, status: Some(200), bytes: 5, aborted: false };
        assert_eq!(self.status().await, (200, record));
    }

    async fn stopped(&mut self) -> Drained {
        self.stop.cancel();
        timeout(TEST_TIMEOUT, &mut self.served).await.expect("the listener stops").unwrap()
    }
}

/// Reads the head of a response and some of its body.
async fn read_some(stream: &mut TcpStream) -> usize {
    let mut buffer = [0; 1024];
    let read = timeout(TEST_TIMEOUT, stream.read(&mut buffer)).await.unwrap().unwrap();
    assert!(buffer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    read
}

async fn read_to_end(mut stream: TcpStream) -> Vec<u8> {
    let mut text = Vec::new();
    timeout(TEST_TIMEOUT, stream.read_to_end(&mut text)).await.unwrap().unwrap();
    text
}

fn is_whole(record: &Record) -> bool {
    *record == Record { method: Method::GET, status: Some(200), bytes: LARGE, aborted: false }
}

fn is_cut(record: &Record) -> bool {
    record.status == Some(200) && record.aborted && record.bytes < LARGE
}

#[tokio::test]
async fn slow_reader_keeps_its_permit_until_the_body_ends() {
    let mut server = TestServer::start(Limits::default()).await;
    let mut slow = server.ask("GET", "/large").await;
    let read = read_some(&mut slow).await;
    server.assert_permit_is_taken().await;
    assert!(server.records.is_empty(), "the response is not written yet");
    let rest = read_to_end(slow).await;
    assert!(read + rest.len() > LARGE);
    assert!(is_whole(&server.record().await));
    server.assert_permit_is_free().await;
}

#[tokio::test]
async fn peer_that_hangs_up_releases_its_permit_and_is_logged_as_aborted() {
    let mut server = TestServer::start(Limits::default()).await;
    let mut slow = server.ask("GET", "/large").await;
    read_some(&mut slow).await;
    server.assert_permit_is_taken().await;
    drop(slow);
    assert!(is_cut(&server.record().await));
    server.assert_permit_is_free().await;
}

#[tokio::test]
async fn peer_that_hangs_up_before_the_response_releases_its_permit() {
    let mut server = TestServer::start(Limits::default()).await;
    let pending = server.ask("GET", "/pending").await;
    server.arrived.recv().await.unwrap();
    drop(pending);
    let record = Record { method: Method::GET, status: None, bytes: 0, aborted: false };
    assert_eq!(server.record().await, record);
    server.assert_permit_is_free().await;
}

#[tokio::test]
async fn head_and_empty_responses_have_no_bytes() {
    let mut server = TestServer::start(Limits::default()).await;
    let text = read_to_end(server.ask("HEAD", "/large").await).await;
    let length = format!("content-length: {LARGE}\r\n");
    assert!(String::from_utf8(text).unwrap().contains(&length));
    let record = Record { method: Method::HEAD, status: Some(200), bytes: 0, aborted: false };
    assert_eq!(server.record().await, record);
    server.assert_permit_is_free().await;
}

#[tokio::test]
async fn http2_stream_holds_its_permit_until_its_body_ends_or_the_stream_is_reset() {
    let mut server = TestServer::start(Limits::default()).await;
    let stream = TokioIo::new(TcpStream::connect(server.address).await.unwrap());
    let (mut sender, connection) =
        http2::Builder::new(TokioExecutor::new()).handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let mut ask = async |path: &str| {
        let request = Request::get(format!("http://x{path}")).body(Empty::<Bytes>::new()).unwrap();
        timeout(TEST_TIMEOUT, sender.send_request(request)).await.unwrap().unwrap()
    };
    let unread = ask("/large").await;
    assert_eq!(ask("/small").await.status(), 429);
    assert_eq!(server.record().await.status, Some(429));
    drop(unread);
    assert!(is_cut(&server.record().await));
    let mut read = 0;
    let mut body = ask("/large").await.into_body();
    while let Some(frame) = timeout(TEST_TIMEOUT, body.frame()).await.unwrap() {
        read += frame.unwrap().into_data().unwrap().len();
    }
    assert_eq!(read, LARGE);
    assert!(is_whole(&server.record().await));
    server.assert_permit_is_free().await;
}

#[tokio::test]
async fn stop_waits_until_responses_are_written() {
    let mut server = TestServer::start(Limits::default()).await;
    let mut slow = server.ask("GET", "/large").await;
    let read = read_some(&mut slow).await;
    server.stop.cancel();
    let rest = read_to_end(slow).await;
    assert!(read + rest.len() > LARGE);
    assert_eq!(server.stopped().await, Drained::Finished);
    assert!(is_whole(&server.record().await));
}

#[tokio::test]
async fn response_that_the_stop_cuts_off_is_in_the_access_log() {
    let drain = Duration::from_millis(100);
    let mut server = TestServer::start(Limits { drain, ..Limits::default() }).await;
    let mut slow = server.ask("GET", "/large").await;
    read_some(&mut slow).await;
    assert_eq!(server.stopped().await, Drained::CutOff);
    assert!(is_cut(&server.records.try_recv().expect("the record is written before")));
}
