//! Hostile `WebSocket` clients, each beside a healthy one.

use std::time::Duration;

use futures_util::StreamExt;
use http_hyper::Limits;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{Instant, timeout},
};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    client::GENEROUS,
    realtime::{Socket, event, open, ticket},
    test_server::TestServer,
};

/// A server with a healthy client.
struct Neighbourhood {
    server: TestServer,
    neighbour: Socket,
}

impl Neighbourhood {
    async fn new(limits: Limits) -> Self {
        let server = TestServer::with(limits).await;
        let neighbour = open(&server, "acme", "").await;
        Self { server, neighbour }
    }

    /// Opens a WebSocket as a bare connection.
    async fn bare(&self) -> TcpStream {
        let ticket = ticket(&self.server, "acme").await;
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut stream = socket.connect(self.server.address).await.unwrap();
        let head = format!(
            "GET /api/v1/realtime?ticket={ticket} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\n\
             upgrade: websocket\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut text = Vec::new();
        while !text.ends_with(b"\r\n\r\n") {
            text.push(timeout(GENEROUS, stream.read_u8()).await.unwrap().unwrap());
        }
        assert!(text.starts_with(b"HTTP/1.1 101 "));
        let accept = b"\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
        assert!(text.windows(accept.len()).any(|part| part == accept), "RFC 6455, 1.3");
        stream
    }

    /// Checks that the healthy client gets an event at once.
    async fn assert_healthy(&mut self) {
        self.server.world.acme_session().await;
        event(&mut self.neighbour).await;
    }
}

/// Returns the code of the close frame that ends the connection.
async fn close_code(stream: &mut TcpStream) -> u16 {
    let mut bytes = Vec::new();
    // The end may be a reset, because the server does not read what remains.
    let ended = timeout(2 * GENEROUS, stream.read_to_end(&mut bytes));
    let _ = ended.await.expect("an end in time");
    let mut rest = &bytes[..];
    loop {
        let [first, length, tail @ ..] = rest else { panic!("no close in {bytes:?}") };
        let (length, tail) = match length {
            126 => (usize::from(u16::from_be_bytes([tail[0], tail[1]])), &tail[2..]),
            length => (usize::from(*length), tail),
        };
        if first & 0xf == 8 {
            return u16::from_be_bytes([tail[0], tail[1]]);
        }
        rest = &tail[length..];
    }
}

/// Returns a masked frame.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    assert!(length < 126);
    [&[first, 0x80 | length, 0, 0, 0, 0], payload].concat()
}

#[tokio::test]
async fn faulty_frames_close_the_socket_alone() {
    let mut all = Neighbourhood::new(Limits::default()).await;
    let announced = |length: u64| [&[0x82, 0xff][..], &length.to_be_bytes(), &[0; 4]].concat();
    for (about, bytes, code) in [
        ("1 GB announced", announced(1 << 30), 1009),
        ("the largest length announced", announced(u64::MAX >> 1), 1009),
        ("2 kB announced", announced(2_000), 1009),
        ("no mask", vec![0x81, 1, b'x'], 1002),
        ("reserved bit", frame(0xc1, b"x"), 1002),
        ("reserved opcode", frame(0x83, b"x"), 1002),
        ("continuation of no message", frame(0x80, b"x"), 1002),
        ("fragmented ping", frame(0x09, b"x"), 1002),
        ("no UTF-8", frame(0x81, b"\xff"), 1002),
        ("HTTP", b"GET / HTTP/1.1\r\n\r\n".to_vec(), 1002),
        (
            "fragments without end",
            [frame(0x01, &[b'x'; 100]), frame(0x00, &[b'x'; 100]).repeat(20)].concat(),
            1009,
        ),
    ] {
        let mut stream = all.bare().await;
        stream.write_all(&bytes).await.unwrap();
        assert_eq!(close_code(&mut stream).await, code, "{about}");
        all.assert_healthy().await;
    }
}

#[tokio::test]
async fn floods_of_frames_close_the_socket_alone() {
    let mut all = Neighbourhood::new(Limits::default()).await;
    for (about, frames) in [
        ("pings", frame(0x89, b"").repeat(1_000)),
        ("pongs", frame(0x8a, &[0; 125]).repeat(100)),
        ("messages", frame(0x81, &[b'x'; 125]).repeat(100)),
        ("empty fragments", [frame(0x01, b""), frame(0x00, b"").repeat(1_000)].concat()),
    ] {
        let stream = all.bare().await;
        let (mut reading, mut writing) = stream.into_split();
        // Empty fragments continue one message, which must begin once.
        let (first, more) = frames.split_at(if about == "empty fragments" { 6 } else { 0 });
        writing.write_all(first).await.unwrap();
        let flood = async { while writing.write_all(more).await.is_ok() {} };
        let end = async {
            let mut bytes = Vec::new();
            let _ = reading.read_to_end(&mut bytes).await;
        };
        timeout(GENEROUS, async { tokio::join!(flood, end) }).await.expect(about);
        all.assert_healthy().await;
    }
}

#[tokio::test]
async fn clients_that_leave_or_do_not_read_free_their_places() {
    let stall = Duration::from_millis(500);
    let limits = Limits { stream_stall: stall, streams_per_member: 2, ..Limits::default() };
    let mut all = Neighbourhood::new(limits).await;
    for leaves in [true, false] {
        let client = all.bare().await;
        let _silent = (!leaves).then_some(client);
        let free = async {
            loop {
                // The silent client's socket takes some of these, and its time ends then.
                all.assert_healthy().await;
                let mut next = open(&all.server, "acme", "after=earliest").await;
                if matches!(next.next().await, Some(Ok(Message::Text(_)))) {
                    return;
                }
            }
        };
        timeout(GENEROUS, free).await.expect("the place becomes free");
    }
}

/// The clock advances whenever every task waits.
#[tokio::test(start_paused = true)]
async fn client_that_answers_no_pings_is_closed_within_40_seconds() {
    let all = Neighbourhood::new(Limits::default()).await;
    let mut deaf = all.bare().await;
    let Neighbourhood { server: _server, mut neighbour } = all;
    let answering = tokio::spawn(async move { while let Some(Ok(_)) = neighbour.next().await {} });
    let since = Instant::now();
    assert_eq!(close_code(&mut deaf).await, 4408);
    let seconds = since.elapsed().as_secs();
    assert!((39..=42).contains(&seconds), "{seconds}");
    assert!(!answering.is_finished(), "the client that answers stays");
}
