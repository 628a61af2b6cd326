//! Unauthenticated peers that hold connections or do not read responses. Other callers are served
//! meanwhile.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use http_hyper::Limits;
use hyper::{Request, body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    task::{JoinHandle, JoinSet},
    time::timeout,
};

use crate::{
    client::{GENEROUS, Version, one_answer, read_to_end},
    test_server::TestServer,
};

const SESSIONS: &str = "/api/v1/sessions";
const SHORT: Duration = Duration::from_millis(100);
/// Number of connections that the listener allows.
const FEW: usize = 8;
/// The largest response without a credential, uncompressed.
pub(crate) const LARGE: &str = "/docs/swagger-ui.js";
const GET_LARGE: &str = "GET /docs/swagger-ui.js HTTP/1.1\r\nhost: x\r\n\r\n";

/// A time limit that no test reaches.
fn few_connections() -> Limits {
    let (first_request, idle, write_time) = (10 * GENEROUS, 10 * GENEROUS, 10 * GENEROUS);
    let limits = Limits { first_request, idle, write_time, ..Limits::default() };
    Limits { unauthenticated_connections: FEW, ..limits }
}

/// Checks that a caller with a credential and one without are served, each on a new connection.
async fn assert_others_are_served(server: &TestServer) {
    assert_eq!(server.say(Version::One, "acme", "GET", SESSIONS, None).await.status, 200);
    assert_eq!(server.say(Version::Two, "acme", "GET", SESSIONS, None).await.status, 200);
    assert_eq!(server.say(Version::One, "", "GET", "/readyz", None).await.status, 200);
}

/// An HTTP/2 peer with a window of 0 bytes.
pub(crate) struct Windowless {
    sender: http2::SendRequest<Full<Bytes>>,
    /// The end of the connection.
    connection: JoinHandle<Result<(), hyper::Error>>,
}

impl Windowless {
    pub(crate) async fn connect(to: SocketAddr) -> Self {
        let stream = TokioIo::new(TcpStream::connect(to).await.unwrap());
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.initial_stream_window_size(0);
        let (sender, connection) = builder.handshake(stream).await.unwrap();
        Self { sender, connection: tokio::spawn(connection) }
    }

    /// Returns the head of a response whose body does not arrive.
    pub(crate) async fn ask(&mut self, path: &str) -> hyper::Response<Incoming> {
        let request = Request::get(format!("http://berth.test{path}"));
        let request = request.body(Full::default()).unwrap();
        timeout(GENEROUS, self.sender.send_request(request)).await.unwrap().unwrap()
    }

    async fn ends(self) {
        // The connection ends with or without an error.
        let _ = timeout(GENEROUS, self.connection).await.expect("the connection ends").unwrap();
    }
}

#[tokio::test]
async fn silent_connections_are_replaced_by_new_ones() {
    let server = TestServer::with(few_connections()).await;
    let mut silent = Vec::new();
    for _ in 0..2 * FEW {
        silent.push(TcpStream::connect(server.address).await.unwrap());
    }
    for one in &mut silent[..FEW] {
        assert_eq!(read_to_end(one).await, b"");
    }
    assert_others_are_served(&server).await;
}

#[tokio::test]
async fn repeated_silent_connections_do_not_block_callers() {
    let server = TestServer::with(few_connections()).await;
    let mut silent = JoinSet::new();
    for _ in 0..4 * FEW {
        let to = server.address;
        silent.spawn(async move {
            loop {
                let mut stream = TcpStream::connect(to).await.unwrap();
                // The peer reads until the connection is closed or reset.
                let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut [0]).await;
            }
        });
    }
    for _ in 0..20 {
        assert_others_are_served(&server).await;
    }
    assert_eq!(silent.len(), 4 * FEW, "they go on all the time");
}

#[tokio::test]
async fn authenticated_connection_outlives_silent_ones() {
    let server = TestServer::with(few_connections()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let request = format!("GET {SESSIONS} HTTP/1.1\r\nhost: x\r\nx-api-key: acme\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(one_answer(&mut stream).await.status, 200);
    let mut silent = Vec::new();
    for _ in 0..3 * FEW {
        silent.push(TcpStream::connect(server.address).await.unwrap());
    }
    assert_eq!(read_to_end(&mut silent[0]).await, b"");
    stream.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(one_answer(&mut stream).await.status, 200);
}

#[tokio::test]
async fn unread_responses_do_not_block_other_callers() {
    let server = TestServer::with(few_connections()).await;
    let mut peers = Vec::new();
    for _ in 0..2 * FEW {
        let mut peer = Windowless::connect(server.address).await;
        let answer = peer.ask(LARGE).await;
        assert_eq!(answer.status(), 200);
        peers.push((peer, answer));
        assert_others_are_served(&server).await;
    }
    for (peer, _answer) in peers.drain(..FEW) {
        peer.ends().await;
    }
}

#[tokio::test]
async fn peer_that_reads_nothing_is_disconnected() {
    let server = TestServer::with(Limits { write_time: SHORT, ..Limits::default() }).await;
    let mut peer = Windowless::connect(server.address).await;
    let _answer = peer.ask(LARGE).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    // Many times more than a kernel buffers.
    let asks = GET_LARGE.repeat(100);
    stream.write_all(asks.as_bytes()).await.unwrap();
    assert_others_are_served(&server).await;
    peer.ends().await;
    let refused = async { while stream.write_all(GET_LARGE.as_bytes()).await.is_ok() {} };
    timeout(GENEROUS, refused).await.expect("the connection ends");
}

#[tokio::test]
async fn peer_with_one_blocked_response_gets_no_further_ones() {
    let server = TestServer::with(Limits { write_time: SHORT, ..Limits::default() }).await;
    let mut peer = Windowless::connect(server.address).await;
    let _answer = peer.ask(LARGE).await;
    // A response without body is written although the other response is blocked.
    let asked = async {
        loop {
            let request = Request::options(format!("http://berth.test{SESSIONS}"));
            let request = request.body(Full::default()).unwrap();
            if peer.sender.send_request(request).await.is_err() {
                break;
            }
        }
    };
    timeout(GENEROUS, asked).await.expect("no more is answered");
    peer.ends().await;
}

#[tokio::test]
async fn longest_blocked_response_ends_beyond_the_byte_limit() {
    // One large response fits, two do not.
    let server = TestServer::with(Limits { unwritten_bytes: 2_000_000, ..few_connections() }).await;
    let mut first = Windowless::connect(server.address).await;
    let _answer = first.ask(LARGE).await;
    let mut second = Windowless::connect(server.address).await;
    let _answer = second.ask(LARGE).await;
    first.ends().await;
    assert_others_are_served(&server).await;
    assert!(!second.connection.is_finished());
}

#[tokio::test]
async fn request_waiting_for_its_body_is_not_at_work() {
    let limits = Limits { connections: 1, body_time: 10 * GENEROUS, ..few_connections() };
    let server = TestServer::with(limits).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "POST {SESSIONS} HTTP/1.1\r\nhost: x\r\nx-api-key: acme\r\ncontent-length: 2\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_others_are_served(&server).await;
    assert_eq!(read_to_end(&mut stream).await, b"", "it ended for the others");
}

#[tokio::test]
async fn new_connection_waits_while_all_are_at_work() {
    let server = TestServer::with(Limits { connections: 1, ..Limits::default() }).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    let slow = format!("GET {SESSIONS} HTTP/1.1\r\nhost: x\r\nx-api-key: slow\r\n\r\n");
    first.write_all(slow.as_bytes()).await.unwrap();
    server.authenticator.arrived.notified().await;
    let mut second = TcpStream::connect(server.address).await.unwrap();
    second.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = std::pin::pin!(one_answer(&mut second));
    assert!(timeout(SHORT, answer.as_mut()).await.is_err(), "it waits");
    server.authenticator.go_on.notify_one();
    assert_eq!(one_answer(&mut first).await.status, 200);
    assert_eq!(answer.await.status, 200);
}
