//! A WebSocket client over a bare socket (RFC 6455), without a library that the server may use.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use testbed::{client::Api, http};

const PATIENCE: Duration = Duration::from_secs(30);
/// Key and answer of the example of RFC 6455, 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;

/// An open WebSocket.
#[derive(Debug)]
pub struct WebSocket(TcpStream);

/// A part that the server sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A text frame.
    Event(Value),
    /// A close frame with its code.
    Close(u16),
}

/// Returns a new ticket.
///
/// # Errors
/// When the server gives none.
pub fn ticket(api: &Api) -> Result<String> {
    let answer = api.action("/api/v1/realtime/ticket")?.expect(200)?.json();
    answer["ticket"].as_str().context("a ticket").map(str::to_owned)
}

impl WebSocket {
    /// Opens a WebSocket; the status of the answer if the server refuses.
    ///
    /// # Errors
    /// When the server cannot be reached, or its handshake is wrong.
    pub fn open(api: &Api, ticket: &str, query: &str) -> Result<Result<Self, u16>> {
        let mut stream = TcpStream::connect(http::address(api.base())?)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let head = format!(
            "GET /api/v1/realtime?ticket={ticket}&{query} HTTP/1.1\r\nHost: berth\r\n\
             Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: {KEY}\r\n\r\n"
        );
        stream.write_all(head.as_bytes())?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            head.extend(byte);
        }
        let head = String::from_utf8(head)?;
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status: u16 = status.with_context(|| format!("no status line: {head:?}"))?;
        if status != 101 {
            return Ok(Err(status));
        }
        ensure!(head.lines().any(|line| line.ends_with(ACCEPT)), "{head}");
        Ok(Ok(Self(stream)))
    }

    /// Returns the next text or close frame, and answers pings.
    ///
    /// # Errors
    /// When the connection breaks, or a frame breaks the rules for servers.
    pub fn frame(&mut self) -> Result<Frame> {
        loop {
            let mut head = [0; 2];
            self.0.read_exact(&mut head)?;
            ensure!(
                head[0] & 0xf0 == 0x80 && head[1] & 0x80 == 0,
                "a whole, plain frame: {head:?}"
            );
            let length = match head[1] {
                126 => {
                    let mut length = [0; 2];
                    self.0.read_exact(&mut length)?;
                    u64::from(u16::from_be_bytes(length))
                }
                127 => {
                    let mut length = [0; 8];
                    self.0.read_exact(&mut length)?;
                    u64::from_be_bytes(length)
                }
                length => length.into(),
            };
            let mut payload = vec![0; usize::try_from(length)?];
            self.0.read_exact(&mut payload)?;
            match (head[0] & 0xf, payload.as_slice()) {
                (TEXT, text) => return Ok(Frame::Event(serde_json::from_slice(text)?)),
                (CLOSE, [high, low, ..]) => {
                    return Ok(Frame::Close(u16::from_be_bytes([*high, *low])));
                }
                // A masked, empty pong.
                (PING, _) => self.0.write_all(&[0x8a, 0x80, 0, 0, 0, 0])?,
                (kind, _) => bail!("a frame of kind {kind}"),
            }
        }
    }
}
