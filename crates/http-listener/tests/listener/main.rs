//! A small server over real sockets: an async function behind the listener.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "an unexpected result fails the test"
)]

mod bodies;
mod fixture;
mod http2_peer;
mod streams;
mod tls;
mod upgrades;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http_listener::{Drained, HttpService, Limits, handler_fn, serve};
use hyper::{Request, Response};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// Time after which a test fails.
const TEST_TIMEOUT: Duration = Duration::from_secs(30);

struct TestServer {
    address: SocketAddr,
    stop: CancellationToken,
    served: JoinHandle<Drained>,
}

impl TestServer {
    async fn start(limits: Limits) -> Self {
        let handler = handler_fn(|request: Request<Bytes>| async move {
            assert_ne!(request.uri().path(), "/panic", "the handler fails");
            let text = format!("{} {}", request.method(), request.uri().path());
            Response::new([text.as_bytes(), b" ", request.body()].concat().into())
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let service = HttpService::new(Arc::new(handler), limits);
        Self { address, stop: stop.clone(), served: tokio::spawn(serve(listener, service, stop)) }
    }

    /// Sends `text` and returns everything that the server sends until it closes the connection.
    async fn exchange(&self, text: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut response = String::new();
        timeout(TEST_TIMEOUT, stream.read_to_string(&mut response)).await.unwrap().unwrap();
        response
    }
}

const CLOSE: &str = "host: test\r\nconnection: close\r\n";

#[tokio::test]
async fn function_answers_requests_with_their_body() {
    let server = TestServer::start(Limits::default()).await;
    let request = format!("PUT /a HTTP/1.1\r\n{CLOSE}content-length: 4\r\n\r\nbody");
    let response = server.exchange(&request).await;
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
    assert!(response.contains("\r\nx-request-id: req_"), "{response}");
    assert!(response.ends_with("\r\n\r\nPUT /a body"), "{response}");
}

#[tokio::test]
async fn limits_and_faults_are_plain_text_errors() {
    let server = TestServer::start(Limits { body_bytes: 3, ..Limits::default() }).await;
    let too_long = format!("GET /{} HTTP/1.1\r\n{CLOSE}\r\n", "x".repeat(100_000));
    for (request, status) in [
        (format!("PUT / HTTP/1.1\r\n{CLOSE}content-length: 4\r\n\r\nbody"), "413"),
        ("GET / HTTP/1.1\r\nconnection: close\r\n\r\n".to_owned(), "400"),
        (format!("GET /panic HTTP/1.1\r\n{CLOSE}\r\n"), "500"),
        (too_long, "4"),
    ] {
        let response = server.exchange(&request).await;
        assert!(response.starts_with(&format!("HTTP/1.1 {status}")), "{response}");
        assert!(response.contains("\r\nx-request-id: req_"), "{response}");
        assert!(response.contains("\r\ncontent-type: text/plain; charset=utf-8\r\n"), "{response}");
    }
}

#[tokio::test]
async fn stop_ends_the_listener() {
    let server = TestServer::start(Limits::default()).await;
    let _idle = TcpStream::connect(server.address).await.unwrap();
    server.stop.cancel();
    let drained = timeout(TEST_TIMEOUT, server.served).await.unwrap().unwrap();
    assert_eq!(drained, Drained::Finished);
    assert!(TcpStream::connect(server.address).await.is_err());
}
