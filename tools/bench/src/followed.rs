//! Clients of event streams: open connections whose events are read by one thread.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Bytes of a buffer; small, because there are thousands of streams.
const BUFFER: usize = 2 * 1024;
/// Maximum length of the head and the first block in bytes.
const MAX_HEAD: usize = 8 * 1024;
const DATA: &[u8] = b"data: ";

/// The request for a stream.
#[derive(Clone, Debug)]
pub(crate) struct StreamRequest {
    pub(crate) address: SocketAddr,
    pub(crate) request: Vec<u8>,
}

/// An open stream.
#[derive(Debug)]
pub(crate) struct Followed {
    socket: TcpStream,
    lines: Lines,
    /// Bytes behind the first block that came with it.
    early: Vec<u8>,
}

/// Splits the bytes of an answer into lines. Chunks of the answer begin and end with whole blocks,
/// so that no line of an event contains the size of a chunk.
#[derive(Debug, Default)]
struct Lines {
    /// The beginning of a line whose end has not come.
    rest: Vec<u8>,
}

impl Followed {
    /// Opens a stream and reads its first block, the bookmark.
    pub(crate) async fn open(asked: &StreamRequest) -> Result<Self> {
        let mut socket = TcpStream::connect(asked.address).await.context("no connection")?;
        socket.set_nodelay(true)?;
        socket.write_all(&asked.request).await?;
        let mut head = Vec::new();
        let end = loop {
            if let Some(end) = head.windows(2).position(|two| two == b"\n\n") {
                break end + 2;
            }
            ensure!(head.len() < MAX_HEAD, "no first block");
            let read = socket.read_buf(&mut head).await?;
            ensure!(read > 0, "the stream ends: {:?}", String::from_utf8_lossy(&head));
        };
        ensure!(head.starts_with(b"HTTP/1.1 200 "), "{:?}", String::from_utf8_lossy(&head));
        Ok(Self { socket, lines: Lines::default(), early: head.split_off(end) })
    }

    /// Calls `event` with the JSON of each event until it returns false.
    pub(crate) async fn read_while(&mut self, mut event: impl FnMut(&[u8]) -> bool) -> Result<()> {
        let early = std::mem::take(&mut self.early);
        let mut goes_on = self.lines.read(&early, &mut event);
        let mut buffer = vec![0; BUFFER];
        while goes_on {
            let read = self.socket.read(&mut buffer).await?;
            ensure!(read > 0, "the stream ends");
            goes_on = self.lines.read(&buffer[..read], &mut event);
        }
        Ok(())
    }

    /// Reads until the server closes the connection, and returns that as an error.
    pub(crate) async fn hold(mut self) -> Result<()> {
        self.read_while(|_| true).await
    }
}

impl Lines {
    /// Calls `event` with the JSON of each complete event; returns whether all calls returned true.
    fn read(&mut self, bytes: &[u8], event: &mut impl FnMut(&[u8]) -> bool) -> bool {
        let mut goes_on = true;
        let mut lines = bytes.split(|byte| *byte == b'\n');
        let last = lines.next_back().unwrap_or_default();
        for line in lines {
            self.rest.extend_from_slice(line);
            if let Some(json) = self.rest.strip_prefix(DATA) {
                goes_on &= event(json);
            }
            self.rest.clear();
        }
        self.rest.extend_from_slice(last);
        goes_on
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session_writer::label;

    #[test]
    fn events_in_parts_are_read_completely() {
        let first = r#"{"payload":{"label":"17"}}"#;
        let text = format!(
            "4c\r\nid: evt_1\ndata: {first}\n\nid: cur_2\n\n\r\n20\r\nid: evt_3\ndata: {{}}\n\n"
        );
        for size in 1..text.len() {
            let (mut lines, mut events) = (Lines::default(), Vec::new());
            for part in text.as_bytes().chunks(size) {
                lines.read(part, &mut |event: &[u8]| {
                    events.push((event.to_vec(), label(event)));
                    true
                });
            }
            assert_eq!(events, [(first.into(), Some(17)), (b"{}".to_vec(), None)], "{size}");
        }
    }
}
