//! A request lasts until the body of its response is written or dropped: its permit, its access log
//! record, and the stop of the listener.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use http_listener::{Drained, Limits};
use hyper::{Method, Request, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{io::AsyncReadExt, net::TcpStream, time::timeout};

use crate::{
    TEST_TIMEOUT,
    fixture::{LARGE, Record, RecordingServer, read_to_end},
};

/// Reads the head of a response and some of its body.
async fn read_some(stream: &mut TcpStream) -> usize {
    let mut buffer = [0; 1024];
    let read = timeout(TEST_TIMEOUT, stream.read(&mut buffer)).await.unwrap().unwrap();
    assert!(buffer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    read
}

fn is_whole(record: &Record) -> bool {
    *record == Record { method: Method::GET, status: Some(200), bytes: LARGE, aborted: false }
}

fn is_cut(record: &Record) -> bool {
    record.status == Some(200) && record.aborted && record.bytes < LARGE
}

#[tokio::test]
async fn slow_reader_keeps_its_permit_until_the_body_ends() {
    let mut server = RecordingServer::start(Limits::default()).await;
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
    let mut server = RecordingServer::start(Limits::default()).await;
    let mut slow = server.ask("GET", "/large").await;
    read_some(&mut slow).await;
    server.assert_permit_is_taken().await;
    drop(slow);
    assert!(is_cut(&server.record().await));
    server.assert_permit_is_free().await;
}

#[tokio::test]
async fn peer_that_hangs_up_before_the_response_releases_its_permit() {
    let mut server = RecordingServer::start(Limits::default()).await;
    let pending = server.ask("GET", "/pending").await;
    server.arrived.recv().await.unwrap();
    drop(pending);
    let record = Record { method: Method::GET, status: None, bytes: 0, aborted: false };
    assert_eq!(server.record().await, record);
    server.assert_permit_is_free().await;
}

#[tokio::test]
async fn head_and_empty_responses_have_no_bytes() {
    let mut server = RecordingServer::start(Limits::default()).await;
    let text = read_to_end(server.ask("HEAD", "/large").await).await;
    let length = format!("content-length: {LARGE}\r\n");
    assert!(String::from_utf8(text).unwrap().contains(&length));
    let record = Record { method: Method::HEAD, status: Some(200), bytes: 0, aborted: false };
    assert_eq!(server.record().await, record);
    server.assert_permit_is_free().await;
}

#[tokio::test]
async fn http2_stream_holds_its_permit_until_its_body_ends_or_the_stream_is_reset() {
    let mut server = RecordingServer::start(Limits::default()).await;
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
    let mut server = RecordingServer::start(Limits::default()).await;
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
    let mut server = RecordingServer::start(Limits { drain, ..Limits::default() }).await;
    let mut slow = server.ask("GET", "/large").await;
    read_some(&mut slow).await;
    assert_eq!(server.stopped().await, Drained::CutOff);
    assert!(is_cut(&server.records.try_recv().expect("the record is written before")));
}
