//! One open connection with one request at a time, and the time to the last byte of each answer.
//!
//! The connection blocks on a plain socket without a runtime: any work of this side between sending
//! and receiving is noise in the measurement.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use testbed::client::Credential;

const PATIENCE: Duration = Duration::from_secs(20);
/// Maximum length of an answer in bytes.
const MAX_ANSWER: usize = 1024 * 1024;

/// A connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer with its duration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimedReply<'a> {
    /// Time from before the request is sent until the answer is complete.
    pub(crate) took: Duration,
    /// Status of the answer.
    pub(crate) status: u16,
    /// Body of the answer.
    pub(crate) body: &'a [u8],
}

impl Connection {
    /// Opens a connection.
    pub(crate) fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).context("no connection")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, buffer: vec![0; MAX_ANSWER] })
    }

    /// Sends a request that leaves the connection open, and waits for the answer.
    pub(crate) fn ask(&mut self, request: &[u8]) -> Result<TimedReply<'_>> {
        let began = Instant::now();
        self.stream.write_all(request)?;
        let (mut filled, mut end) = (0, None);
        while end.is_none_or(|end| filled < end) {
            ensure!(filled < self.buffer.len(), "the answer is too long");
            let read = self.stream.read(&mut self.buffer[filled..])?;
            ensure!(read > 0, "the server closed the connection");
            filled += read;
            if end.is_none() {
                end = whole(&self.buffer[..filled])?;
            }
        }
        let took = began.elapsed();
        let answer = &self.buffer[..filled];
        ensure!(end == Some(filled), "more bytes than one answer");
        let status = std::str::from_utf8(&answer[9..12]).ok().and_then(|code| code.parse().ok());
        let body = head_of(answer).map_or(&[][..], |head| &answer[head..]);
        Ok(TimedReply { took, status: status.context("no status")?, body })
    }
}

/// Returns a request for `path` and an answer in JSON that leaves the connection open.
pub(crate) fn request(
    method: &str,
    address: SocketAddr,
    path: &str,
    credential: Option<&Credential>,
) -> Vec<u8> {
    request_with(method, address, path, credential, None)
}

/// As [`request`], with a JSON body.
pub(crate) fn request_with(
    method: &str,
    address: SocketAddr,
    path: &str,
    credential: Option<&Credential>,
    body: Option<&str>,
) -> Vec<u8> {
    accepting("application/json", method, address, path, credential, body)
}

/// Returns a request for a stream of server-sent events.
pub(crate) fn stream_request(
    address: SocketAddr,
    path: &str,
    credential: Option<&Credential>,
) -> Vec<u8> {
    accepting("text/event-stream", "GET", address, path, credential, None)
}

fn accepting(
    media_type: &str,
    method: &str,
    address: SocketAddr,
    path: &str,
    credential: Option<&Credential>,
    body: Option<&str>,
) -> Vec<u8> {
    let header = credential.map(Credential::header);
    let header = header.map(|(name, value)| format!("{name}: {value}\r\n")).unwrap_or_default();
    let about = match body {
        Some(body) => {
            format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len())
        }
        None if method == "POST" => "Content-Length: 0\r\n".to_owned(),
        None => String::new(),
    };
    let body = body.unwrap_or_default();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAccept: {media_type}\r\n\
         {header}{about}\r\n"
    );
    (head + body).into_bytes()
}

/// Returns the length of an answer; `None` while its head is incomplete.
pub(crate) fn whole(answer: &[u8]) -> Result<Option<usize>> {
    let Some(head) = head_of(answer) else { return Ok(None) };
    let text = std::str::from_utf8(&answer[..head]).context("the head is not text")?;
    let mut lines = text.split("\r\n").filter_map(|line| line.split_once(':'));
    let length = lines.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = length.map_or(Ok(0), |(_, value)| value.trim().parse::<usize>());
    Ok(Some(head + length.context("the content length is not a number")?))
}

/// Returns the end of the head.
fn head_of(answer: &[u8]) -> Option<usize> {
    answer.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, thread};

    use super::*;

    #[test]
    fn request_asks_for_json_with_its_credential() {
        let address = "127.0.0.1:80".parse().unwrap();
        let key = Credential::Key("wa_1".to_owned());
        let text = request_with("PATCH", address, "/a?b=c", Some(&key), Some("{}"));
        let text = String::from_utf8(text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let (name, value) = key.header();
        for line in [
            "PATCH /a?b=c HTTP/1.1",
            "Host: 127.0.0.1:80",
            "Accept: application/json",
            &format!("{name}: {value}"),
            "Content-Length: 2",
        ] {
            assert!(head.lines().any(|found| found == line), "{line} in {head}");
        }
        assert_eq!(body, "{}");
        let stream = String::from_utf8(stream_request(address, "/", None)).unwrap();
        assert!(stream.contains("\r\nAccept: text/event-stream\r\n"), "{stream}");
        assert!(request("POST", address, "/", None).ends_with(b"Content-Length: 0\r\n\r\n"));
    }

    #[test]
    fn answers_in_parts_are_read_completely() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, mut buffer) = (listener.accept().unwrap().0, [0; 1024]);
            for parts in [
                &["HTTP/1.1 404 Not Found\r\nContent-Le", "ngth: 3\r\n\r\nn", "o!"][..],
                &["HTTP/1.1 204 No Content\r\n\r\n"],
            ] {
                assert!(stream.read(&mut buffer).unwrap() > 0);
                for part in parts {
                    stream.write_all(part.as_bytes()).unwrap();
                    stream.flush().unwrap();
                }
            }
        });
        let mut connection = Connection::open(address).unwrap();
        let reply = connection.ask(&request("GET", address, "/", None)).unwrap();
        assert_eq!((reply.status, reply.body), (404, &b"no!"[..]));
        let reply = connection.ask(&request("POST", address, "/", None)).unwrap();
        assert_eq!((reply.status, reply.body), (204, &b""[..]));
        server.join().unwrap();
        assert!(connection.ask(b"x").is_err());
    }
}
