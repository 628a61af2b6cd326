//! Response bodies that end at no known time: their permits, their access log records, peers that
//! do not read, and the stop of the listener.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use http_listener::{Drained, Limits};
use hyper::{Method, Request, body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::AsyncReadExt,
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::{
    TEST_TIMEOUT,
    fixture::{Record, RecordingServer, read_to_end, read_until},
    http2_peer::{GOAWAY, Http2Peer},
};

/// A part of `/ticks` as a chunk of HTTP/1.1.
const TICK: &str = "4\r\ntick\r\n";
/// Time after which a stream ends whose peer does not read.
const STALL: Duration = Duration::from_millis(300);

/// Limits that end idle connections and blocked responses sooner than the streams of the tests.
fn impatient() -> Limits {
    let (idle, write_time) = (STALL, STALL);
    Limits { stream_stall: STALL, write_time, idle, first_request: STALL, ..Limits::default() }
}

fn is_complete(record: &Record, bytes: usize) -> bool {
    *record == Record { method: Method::GET, status: Some(200), bytes, aborted: false }
}

/// Opens `/ticks` over HTTP/2 and returns its body after the first part.
async fn http2_ticks(server: &RecordingServer) -> Incoming {
    let stream = TokioIo::new(TcpStream::connect(server.address).await.unwrap());
    let (mut sender, connection) =
        http2::Builder::new(TokioExecutor::new()).handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("http://x/ticks").body(Empty::<Bytes>::new()).unwrap();
    let mut body = sender.send_request(request).await.unwrap().into_body();
    assert!(timeout(TEST_TIMEOUT, body.frame()).await.unwrap().unwrap().is_ok());
    body
}

#[tokio::test]
async fn stream_is_sent_part_by_part_and_holds_no_work_permit() {
    let mut server = RecordingServer::start(Limits::default()).await;
    let mut one = server.ask("GET", "/ticks").await;
    let mut other = server.ask("GET", "/ticks").await;
    for stream in [&mut one, &mut other] {
        let head = read_until(stream, TICK).await;
        assert!(head.contains("transfer-encoding: chunked\r\n"), "{head}");
        assert_eq!(read_until(stream, TICK).await, TICK);
    }
    server.assert_permit_is_free().await;
    assert!(server.records.is_empty(), "the streams have not ended");
    drop(one);
    let record = server.record().await;
    assert!(record.aborted && record.status == Some(200) && record.bytes >= 8, "{record:?}");
    assert_eq!(read_until(&mut other, TICK).await, TICK);
}

#[tokio::test]
async fn stream_whose_source_ends_is_complete() {
    let mut server = RecordingServer::start(Limits::default()).await;
    let text = String::from_utf8(read_to_end(server.ask("GET", "/three").await).await).unwrap();
    assert!(text.ends_with(&format!("\r\n\r\n{TICK}{TICK}{TICK}0\r\n\r\n")), "{text}");
    assert!(is_complete(&server.record().await, 12));
}

#[tokio::test]
async fn streams_of_one_member_are_limited() {
    let limits = Limits { streams_per_member: 2, ..Limits::default() };
    let mut server = RecordingServer::start(limits).await;
    let mut open = Vec::new();
    for _ in 0..2 {
        open.push(server.ask("GET", "/ticks").await);
        read_until(open.last_mut().unwrap(), TICK).await;
    }
    let refused = read_to_end(server.ask("GET", "/ticks").await).await;
    assert!(refused.starts_with(b"HTTP/1.1 429 "));
    assert_eq!(server.record().await.status, Some(429));
    drop(open.pop());
    assert!(server.record().await.aborted);
    read_until(&mut server.ask("GET", "/ticks").await, TICK).await;
}

#[tokio::test]
async fn head_of_a_stream_has_no_body_and_holds_no_permit() {
    let limits = Limits { streams_per_member: 1, ..Limits::default() };
    let mut server = RecordingServer::start(limits).await;
    for _ in 0..3 {
        let text = read_to_end(server.ask("HEAD", "/flood").await).await;
        let text = String::from_utf8(text).unwrap();
        assert!(text.starts_with("HTTP/1.1 200 ") && text.ends_with("\r\n\r\n"), "{text}");
        assert!(!text.contains("content-length"), "{text}");
        let record = Record { method: Method::HEAD, status: Some(200), bytes: 0, aborted: false };
        assert_eq!(server.record().await, record);
    }
}

#[tokio::test]
async fn stop_ends_streams_within_a_second() {
    let mut server = RecordingServer::start(Limits::default()).await;
    let mut reading = server.ask("GET", "/ticks").await;
    read_until(&mut reading, TICK).await;
    let mut http2 = http2_ticks(&server).await;
    let mut silent = server.ask("GET", "/flood").await;
    read_until(&mut silent, "\r\n\r\n").await;
    let since = Instant::now();
    assert_eq!(server.stopped().await, Drained::Finished);
    assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
    assert!(read_to_end(reading).await.ends_with(b"0\r\n\r\n"));
    while let Some(frame) = timeout(TEST_TIMEOUT, http2.frame()).await.unwrap() {
        frame.expect("the body ends and does not break off");
    }
    let mut aborted = Vec::new();
    while let Ok(record) = server.records.try_recv() {
        aborted.push(record.aborted);
    }
    aborted.sort_unstable();
    assert_eq!(aborted, [false, false, true], "only the peer that does not read is cut off");
}

#[tokio::test]
async fn peer_that_never_reads_a_stream_is_ended_and_its_neighbour_is_not() {
    let mut server = RecordingServer::start(impatient()).await;
    let mut neighbour = server.ask("GET", "/ticks").await;
    let mut silent = server.ask("GET", "/flood").await;
    read_until(&mut silent, "\r\n\r\n").await;
    let record = server.record().await;
    assert!(record.aborted && record.bytes > 0, "{record:?}");
    let flooded = server.flooded.load(Ordering::SeqCst);
    assert!(flooded - record.bytes <= 64 * 1024, "{flooded} bytes are buffered for {record:?}");
    for _ in 0..10 {
        read_until(&mut neighbour, TICK).await;
    }
    assert!(server.records.is_empty());
}

#[tokio::test]
async fn peer_that_reads_single_bytes_is_ended_and_its_neighbour_is_not() {
    let mut server = RecordingServer::start(impatient()).await;
    let mut neighbour = server.ask("GET", "/ticks").await;
    let mut greedy = server.ask("GET", "/flood").await;
    let record = loop {
        let _ = greedy.read_u8().await;
        read_until(&mut neighbour, TICK).await;
        if let Ok(record) = server.records.try_recv() {
            break record;
        }
    };
    assert!(record.aborted, "{record:?}");
    let flooded = server.flooded.load(Ordering::SeqCst);
    assert!(flooded - record.bytes <= 64 * 1024, "{flooded} bytes are buffered for {record:?}");
}

#[tokio::test]
async fn slow_reader_keeps_its_stream() {
    let mut server = RecordingServer::start(impatient()).await;
    let mut slow = server.ask("GET", "/flood").await;
    let mut buffer = [0; 4096];
    let since = Instant::now();
    while since.elapsed() < 6 * STALL {
        slow.read_exact(&mut buffer).await.unwrap();
        sleep(STALL / 30).await;
    }
    assert!(server.records.is_empty());
    drop(slow);
    assert!(server.record().await.aborted);
}

#[tokio::test]
async fn http2_stream_without_a_window_is_ended() {
    let mut server = RecordingServer::start(impatient()).await;
    let mut neighbour = server.ask("GET", "/ticks").await;
    let mut peer = Http2Peer::connect(server.address, 0).await;
    for stream in [1, 3, 5] {
        assert!(peer.get(stream, "/flood").await);
    }
    for _ in 0..3 {
        let record = server.record().await;
        let cut = Record { method: Method::GET, status: Some(200), bytes: 0, aborted: true };
        assert_eq!(record, cut);
    }
    timeout(TEST_TIMEOUT, peer.frame_types()).await.expect("the connection is closed");
    read_until(&mut neighbour, TICK).await;
}

#[tokio::test]
async fn streams_that_are_reset_at_once_leave_no_permits() {
    let limits = Limits { streams_per_member: 40, ..Limits::default() };
    let mut server = RecordingServer::start(limits).await;
    let mut neighbour = server.ask("GET", "/ticks").await;
    read_until(&mut neighbour, TICK).await;
    let mut reset = 0;
    while reset < 10_000 {
        let mut peer = Http2Peer::connect(server.address, 65_535).await;
        let mut number = 1;
        while number < 4_000 && peer.get_and_reset(number, "/ticks").await {
            (number, reset) = (number + 2, reset + 1);
        }
        let frames = timeout(TEST_TIMEOUT, peer.frame_types()).await.expect("it is closed");
        assert!(frames.is_empty() || frames.contains(&GOAWAY), "{frames:?}");
    }
    let mut open = Vec::new();
    while open.len() < 39 {
        let mut stream = server.ask("GET", "/ticks").await;
        // The last streams of the last peer end at any time.
        if read_until(&mut stream, "\r\n").await.starts_with("HTTP/1.1 200 ") {
            open.push(stream);
        }
    }
    read_until(&mut neighbour, TICK).await;
    while server.records.try_recv().is_ok() {}
}

#[tokio::test]
async fn connection_of_a_stream_can_be_evicted() {
    let mut server = RecordingServer::start(Limits { connections: 1, ..Limits::default() }).await;
    let mut stream = server.ask("GET", "/ticks").await;
    read_until(&mut stream, TICK).await;
    let small = read_to_end(server.ask("GET", "/small").await).await;
    assert!(small.ends_with(b"small"));
    let records = [server.record().await, server.record().await];
    assert!(records.iter().any(|record| record.aborted), "{records:?}");
}
