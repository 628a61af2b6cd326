//! Peers without a credential that hold what others need: connections, and answers that they do not take. Beside
//! each of them somebody else is served.

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
/// Of what is held here there are so many places.
const FEW: usize = 8;
/// The largest answer for anybody, when it is not compressed.
const LARGE: &str = "/docs/swagger-ui.js";
const GET_LARGE: &str = "GET /docs/swagger-ui.js HTTP/1.1\r\nhost: x\r\n\r\n";

/// Nothing here ends because it took too long.
fn few_connections() -> Limits {
    let (first_request, idle, write_time) = (10 * GENEROUS, 10 * GENEROUS, 10 * GENEROUS);
    let limits = Limits { first_request, idle, write_time, ..Limits::default() };
    Limits { unauthenticated_connections: FEW, ..limits }
}

/// Somebody with a credential, and somebody without, each with a connection of its own, are served.
async fn assert_others_are_served(server: &TestServer) {
    assert_eq!(server.say(Version::One, "acme", "GET", SESSIONS, None).await.status, 200);
    assert_eq!(server.say(Version::Two, "acme", "GET", SESSIONS, None).await.status, 200);
    assert_eq!(server.say(Version::One, "", "GET", "/readyz", None).await.status, 200);
}

/// An HTTP/2 peer that has no room for any answer.
struct Windowless {
    sender: http2::SendRequest<Full<Bytes>>,
    /// Its end.
    connection: JoinHandle<Result<(), hyper::Error>>,
}

impl Windowless {
    async fn connect(to: SocketAddr) -> Self {
        let stream = TokioIo::new(TcpStream::connect(to).await.unwrap());
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.initial_stream_window_size(0);
        let (sender, connection) = builder.handshake(stream).await.unwrap();
        Self { sender, connection: tokio::spawn(connection) }
    }

    /// The head of an answer whose body does not come.
    async fn ask(&mut self, path: &str) -> hyper::Response<Incoming> {
        let request = Request::get(format!("http://berth.test{path}"));
        let request = request.body(Full::default()).unwrap();
        timeout(GENEROUS, self.sender.send_request(request)).await.unwrap().unwrap()
    }

    async fn ends(self) {
        // With or without an error.
        let _ = timeout(GENEROUS, self.connection).await.expect("the connection ends").unwrap();
    }
}

#[tokio::test]
async fn silent_connections_end_for_those_who_come_after_them() {
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
async fn silent_connections_that_come_again_and_again_keep_nobody_out() {
    let server = TestServer::with(few_connections()).await;
    let mut silent = JoinSet::new();
    for _ in 0..4 * FEW {
        let to = server.address;
        silent.spawn(async move {
            loop {
                let mut stream = TcpStream::connect(to).await.unwrap();
                // Until it is closed, or reset.
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
async fn connection_of_a_caller_outlives_any_number_of_silent_ones() {
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
async fn answers_that_are_not_taken_keep_nobody_out() {
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
async fn peer_that_takes_nothing_is_hung_up_on() {
    let server = TestServer::with(Limits { write_time: SHORT, ..Limits::default() }).await;
    let mut peer = Windowless::connect(server.address).await;
    let _answer = peer.ask(LARGE).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    // More than any kernel holds for it, by many times.
    let asks = GET_LARGE.repeat(100);
    stream.write_all(asks.as_bytes()).await.unwrap();
    assert_others_are_served(&server).await;
    peer.ends().await;
    let refused = async { while stream.write_all(GET_LARGE.as_bytes()).await.is_ok() {} };
    timeout(GENEROUS, refused).await.expect("the connection ends");
}

#[tokio::test]
async fn peer_that_takes_one_answer_and_not_the_other_gets_no_more() {
    let server = TestServer::with(Limits { write_time: SHORT, ..Limits::default() }).await;
    let mut peer = Windowless::connect(server.address).await;
    let _answer = peer.ask(LARGE).await;
    // An answer without a body needs no room: it is taken, however long the other one waits.
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
async fn answer_that_waits_longest_ends_when_too_much_waits() {
    // One of the large ones, and not two.
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
async fn request_whose_peer_sends_no_body_is_no_work() {
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
async fn newcomer_waits_while_every_connection_is_at_work() {
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
