//! Connections that a response gives to another protocol: their access log records, their place
//! among the connections, peers that do not read, and the stop of the listener.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Empty;
use http_listener::{Drained, Limits};
use hyper::{Method, Request, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::fixture::{Record, RecordingServer, read_to_end, read_until};

const UPGRADE: &str = "connection: upgrade\r\nupgrade: test";
const HEAD_END: &str = "\r\n\r\n";

/// Opens a protocol.
async fn upgraded(server: &RecordingServer, path: &str) -> TcpStream {
    let mut stream = server.ask_with("GET", path, UPGRADE).await;
    let head = read_until(&mut stream, HEAD_END).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains("x-request-id: req_"), "{head}");
    stream
}

/// Sends a text that the server echoes.
async fn assert_echoes(stream: &mut TcpStream) {
    stream.write_all(b"ping!").await.unwrap();
    assert_eq!(read_until(stream, "!").await, "ping!");
}

fn switched(bytes: usize, aborted: bool) -> Record {
    Record { method: Method::GET, status: Some(101), bytes, aborted }
}

#[tokio::test]
async fn protocol_lasts_until_it_ends_and_is_logged_then() {
    let mut server = RecordingServer::start(Limits::default()).await;
    let mut stream = upgraded(&server, "/echo").await;
    assert_echoes(&mut stream).await;
    server.assert_permit_is_free().await;
    assert!(server.records.is_empty());
    stream.shutdown().await.unwrap();
    assert_eq!(read_to_end(stream).await, b"bye");
    assert_eq!(server.record().await, switched(8, false));
}

#[tokio::test]
async fn upgraded_connections_hold_stream_permits() {
    let limits = Limits { streams_per_member: 1, ..Limits::default() };
    let mut server = RecordingServer::start(limits).await;
    let stream = upgraded(&server, "/echo").await;
    let refused = read_to_end(server.ask("GET", "/ticks").await).await;
    assert!(refused.starts_with(b"HTTP/1.1 429 "));
    assert_eq!(server.record().await.status, Some(429));
    drop(stream);
    assert_eq!(server.record().await.status, Some(101));
    upgraded(&server, "/echo").await;
}

#[tokio::test]
async fn upgraded_connection_is_counted_and_can_be_evicted() {
    let mut server = RecordingServer::start(Limits { connections: 2, ..Limits::default() }).await;
    let mut streams = vec![upgraded(&server, "/deaf").await];
    for _ in 0..2 {
        streams.push(upgraded(&server, "/echo").await);
    }
    assert_eq!(server.record().await, switched(0, true), "the oldest connection makes room");
    assert_eq!(read_to_end(streams.remove(0)).await, b"");
    for stream in &mut streams {
        assert_echoes(stream).await;
    }
}

#[tokio::test]
async fn stop_asks_protocols_to_end_and_drops_those_that_do_not() {
    let mut server = RecordingServer::start(Limits::default()).await;
    let (echo, deaf) = (upgraded(&server, "/echo").await, upgraded(&server, "/deaf").await);
    let since = Instant::now();
    assert_eq!(server.stopped().await, Drained::Finished);
    assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
    assert_eq!((read_to_end(echo).await, read_to_end(deaf).await), (b"bye".into(), b"".into()));
    assert_eq!(server.record().await, switched(3, false));
    assert_eq!(server.record().await, switched(0, true));
}

#[tokio::test]
async fn protocol_whose_peer_does_not_read_is_dropped() {
    let stall = Duration::from_millis(300);
    let mut server =
        RecordingServer::start(Limits { stream_stall: stall, ..Limits::default() }).await;
    let _silent = upgraded(&server, "/spout").await;
    let mut neighbour = upgraded(&server, "/echo").await;
    let record = loop {
        assert_echoes(&mut neighbour).await;
        match server.records.try_recv() {
            Ok(record) => break record,
            Err(_) => tokio::time::sleep(stall / 10).await,
        }
    };
    assert!(record.aborted && record.bytes > 0, "{record:?}");
    assert_echoes(&mut neighbour).await;
}

#[tokio::test]
async fn other_requests_are_not_upgraded() {
    let server = RecordingServer::start(Limits::default()).await;
    let plain = read_to_end(server.ask("GET", "/echo").await).await;
    assert!(plain.starts_with(b"HTTP/1.1 426 "));
    let header = format!("{UPGRADE}\r\ncontent-length: 0");
    for method in ["HEAD", "POST"] {
        let mut other = server.ask_with(method, "/echo", &header).await;
        let head = read_until(&mut other, HEAD_END).await;
        assert!(head.starts_with("HTTP/1.1 426 "), "{method} {head}");
    }
    let stream = TokioIo::new(TcpStream::connect(server.address).await.unwrap());
    let (mut sender, connection) =
        http2::Builder::new(TokioExecutor::new()).handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("http://x/echo").body(Empty::<Bytes>::new()).unwrap();
    assert_eq!(sender.send_request(request).await.unwrap().status(), 426);
}
