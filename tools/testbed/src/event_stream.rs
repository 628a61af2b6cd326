//! A client of server-sent events over a bare socket.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::TcpStream,
    time::Duration,
};

use crate::{client::Api, http};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

/// Upper bound of the time to the next part. Bookmarks come every 15 s.
const PATIENCE: Duration = Duration::from_secs(30);

/// An open stream.
#[derive(Debug)]
pub struct EventStream {
    stream: BufReader<TcpStream>,
    text: String,
    /// The `id` of the newest block, which resumes the stream.
    pub last: String,
}

/// The answer to the request for a stream.
#[derive(Debug)]
pub enum Opened {
    /// A stream.
    Stream(EventStream),
    /// The status of another answer.
    Refused(u16),
}

impl EventStream {
    /// Asks for a stream, after the event or bookmark `last` unless it is empty.
    ///
    /// # Errors
    /// When the server cannot be reached, or closes the connection before its answer.
    pub fn open(api: &Api, query: &str, last: &str) -> Result<Opened> {
        let headers =
            api.headers(&[("Accept", "text/event-stream"), ("Last-Event-ID", last)], false);
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let path = format!("/api/v1/events?{query}");
        let bytes = http::request("GET", path.as_bytes(), &headers, None);
        let stream = TcpStream::connect(http::address(api.base())?)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        std::io::Write::write_all(&mut &stream, &bytes)?;
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            ensure!(stream.read_line(&mut head)? > 0, "no answer");
        }
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status: u16 = status.with_context(|| format!("no status line: {head:?}"))?;
        if status != 200 {
            return Ok(Opened::Refused(status));
        }
        let head = head.to_ascii_lowercase();
        ensure!(head.contains("content-type: text/event-stream\r\n"), "{head}");
        let stream = Self { stream, text: String::new(), last: last.to_owned() };
        Ok(Opened::Stream(stream))
    }

    /// Returns a stream after `last`.
    ///
    /// # Errors
    /// As [`Self::open`], or when the server refuses the stream.
    pub fn after(api: &Api, query: &str, last: &str) -> Result<Self> {
        match Self::open(api, query, last)? {
            Opened::Stream(stream) => Ok(stream),
            Opened::Refused(status) => bail!("the stream is refused with {status}"),
        }
    }

    /// Returns the next event; `None` at the end of the stream.
    ///
    /// # Errors
    /// When the connection breaks, or nothing comes in time.
    pub fn event(&mut self) -> Result<Option<Value>> {
        loop {
            let Some(block) = self.block()? else { return Ok(None) };
            let field = |name: &str| {
                block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned)
            };
            self.last = field("id: ").with_context(|| format!("no id: {block:?}"))?;
            if let Some(data) = field("data: ") {
                let event: Value = serde_json::from_str(&data)?;
                ensure!(event["id"] == *self.last, "the id of {block:?}");
                return Ok(Some(event));
            }
        }
    }

    /// Returns the bookmark of the next block.
    ///
    /// # Errors
    /// As [`Self::event`], and at the end of the stream.
    pub fn bookmark(&mut self) -> Result<String> {
        let block = self.block()?.context("the stream has ended")?;
        let id = block.lines().find_map(|line| line.strip_prefix("id: "));
        Ok(id.with_context(|| format!("no id: {block:?}"))?.to_owned())
    }

    /// Returns the next block, a bookmark or an event; `None` at the end of the stream.
    ///
    /// # Errors
    /// As [`Self::event`].
    pub fn block(&mut self) -> Result<Option<String>> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let block = self.text[..end].to_owned();
                self.text.drain(..end + 2);
                return Ok(Some(block));
            }
            let mut size = String::new();
            ensure!(self.stream.read_line(&mut size)? > 0, "the connection broke");
            let size = usize::from_str_radix(size.trim_end(), 16)?;
            let mut chunk = vec![0; size + 2];
            self.stream.read_exact(&mut chunk)?;
            if size == 0 {
                return Ok(None);
            }
            self.text.push_str(std::str::from_utf8(&chunk[..size])?);
        }
    }
}
