//! HTTP/1.1 without a library: requests and answers byte for byte.
//!
//! A library would repair both, and tests of isolation and of invalid input need the bytes on the
//! wire.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream, ToSocketAddrs as _},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// An answer as received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The code of the status line.
    pub status: u16,
    /// The status line and the headers in their order.
    pub head: Vec<String>,
    /// The body, with chunks joined.
    pub body: Vec<u8>,
}

impl Reply {
    /// Returns the value of a header; names ignore case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.iter().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Returns the body as JSON; null when the body is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Returns head and body without the headers that differ between any two answers.
    pub fn stable_parts(&self) -> (Vec<&str>, &[u8]) {
        let passing = |line: &&str| {
            let name = line.split(':').next().unwrap_or_default();
            name.eq_ignore_ascii_case("date") || name.eq_ignore_ascii_case("x-request-id")
        };
        let head = self.head.iter().map(String::as_str).filter(|line| !passing(line)).collect();
        (head, &self.body)
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
        let end = find(bytes, b"\r\n\r\n").context("the answer has no end of its head")?;
        let head: Vec<_> =
            String::from_utf8_lossy(&bytes[..end]).split("\r\n").map(str::to_owned).collect();
        let status = head[0].split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.with_context(|| format!("no status line: {:?}", head[0]))?;
        let mut reply = Self { status, head, body: bytes[end + 4..].to_vec() };
        if reply.header("transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked")) {
            reply.body = unchunked(&reply.body)?;
        }
        Ok(reply)
    }
}

/// A request whose answer was not read yet.
#[derive(Debug)]
pub struct PendingReply {
    stream: TcpStream,
    began: Instant,
    patience: Duration,
}

impl PendingReply {
    /// Sends a request. The server may answer and close before it has read everything.
    pub fn send(address: SocketAddr, bytes: &[u8], patience: Duration) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(patience))?;
        match (&stream).write_all(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => bail!("it reads no further"),
            _ => Ok(Self { stream, began: Instant::now(), patience }),
        }
    }

    /// Reads to the end of the connection; an error when the end does not come in time.
    pub fn finish(mut self) -> Result<Vec<u8>> {
        let mut read = Vec::new();
        let mut buffer = [0; 16 * 1024];
        loop {
            let left = self.patience.saturating_sub(self.began.elapsed());
            if left.is_zero() {
                bail!("no end of the answer within {} s", self.patience.as_secs());
            }
            self.stream.set_read_timeout(Some(left))?;
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(read),
                Ok(count) => read.extend_from_slice(&buffer[..count]),
                Err(e)
                    if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
                // the server closed the connection: the bytes so far are the answer
                Err(_) => return Ok(read),
            }
        }
    }

    /// Reads a complete answer.
    pub fn reply(self) -> Result<Reply> {
        Reply::parse(&self.finish()?)
    }
}

/// Returns the address of `http://host:port/…`.
pub fn address(url: &str) -> Result<SocketAddr> {
    let host = url.strip_prefix("http://").context("not a plain http URL")?;
    let host = host.split('/').next().unwrap_or_default();
    let with_port = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    with_port.to_socket_addrs()?.next().context("the URL's host has no address")
}

/// Returns the bytes of a request with this path as it is. The connection closes after the answer.
pub fn request(
    method: &str,
    path: &[u8],
    headers: &[(&str, &str)],
    body: Option<&[u8]>,
) -> Vec<u8> {
    let mut bytes = [method.as_bytes(), b" ", path, b" HTTP/1.1\r\nHost: berth\r\n"].concat();
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    if let Some(body) = body {
        bytes.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    bytes.extend_from_slice(b"Connection: close\r\n\r\n");
    bytes.extend_from_slice(body.unwrap_or_default());
    bytes
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn unchunked(mut bytes: &[u8]) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = find(bytes, b"\r\n").context("a chunk without a size")?;
        let size = std::str::from_utf8(&bytes[..end])?.split(';').next().unwrap_or_default();
        let size = usize::from_str_radix(size.trim(), 16)?;
        if size == 0 {
            return Ok(body);
        }
        body.extend(bytes.get(end + 2..end + 2 + size).context("a chunk that is cut off")?);
        bytes = bytes.get(end + 4 + size..).context("chunks without an end")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_keeps_its_headers_and_body() {
        let wire =
            b"HTTP/1.1 404 Not Found\r\nDate: now\r\nX-Request-Id: 1\r\nA: b\r\n\r\n{\"a\":1}";
        let reply = Reply::parse(wire).unwrap();
        assert_eq!(
            (reply.status, reply.header("a"), reply.json()["a"].as_i64()),
            (404, Some("b"), Some(1))
        );
        assert_eq!(
            reply.stable_parts(),
            (vec!["HTTP/1.1 404 Not Found", "A: b"], &wire[wire.len() - 7..])
        );
    }

    #[test]
    fn chunked_body_is_joined() {
        let wire = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n";
        assert_eq!(Reply::parse(wire).unwrap().body, b"abcde");
        assert!(unchunked(b"5\r\nabc").is_err());
    }

    #[test]
    fn incomplete_answer_is_an_error() {
        assert!(Reply::parse(b"HTTP/1.1 200 OK\r\nDate").is_err());
        assert!(Reply::parse(b"").is_err());
    }
}
