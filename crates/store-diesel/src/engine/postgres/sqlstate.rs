//! The SQLSTATE of what PostgreSQL refuses.
//!
//! diesel-async passes on the server's words (message, detail, hint) and drops the SQLSTATE, which alone is
//! the same in every language of a server. So each connection's bytes pass through here, and an
//! `ErrorResponse` gets its SQLSTATE as its hint, where [`of`] finds it. All other bytes are passed on as
//! they are. The format is that of the protocol's section on messages: a type byte, a length of four bytes
//! that counts itself, the body; an `ErrorResponse` (`E`) is a list of fields, each a byte and a text that
//! ends in zero, and a last zero.
//!
//! Decision: ADR 0029.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use diesel::result::DatabaseErrorInformation;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The type and the length of a message.
const HEADER: usize = 5;

/// An error that is longer is passed on as it is.
const MAX_ANNOTATED: usize = 64 * 1024;

/// The SQLSTATE of an error, if the server gave one.
pub(crate) fn of(error: &dyn DatabaseErrorInformation) -> Option<&str> {
    let code = error.hint()?.split(' ').next()?;
    (code.len() == 5 && code.bytes().all(|byte| byte.is_ascii_alphanumeric())).then_some(code)
}

/// A connection whose errors carry their SQLSTATE.
pub(crate) struct SqlstateStream<S> {
    inner: S,
    annotator: ErrorAnnotator,
}

impl<S> SqlstateStream<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self { inner, annotator: ErrorAnnotator::default() }
    }

    pub(crate) fn inner(&self) -> &S {
        &self.inner
    }
}

/// Where in the server's words a connection is.
#[derive(Default)]
struct ErrorAnnotator {
    /// The head of a message that has not come whole, or an error that has not.
    partial: Vec<u8>,
    /// How much of a message is still to be passed on.
    unchanged: usize,
    /// What is to be read before anything else.
    output: Vec<u8>,
}

impl ErrorAnnotator {
    /// Takes in what came, and adds to `output` what of it can be passed on.
    fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.unchanged > 0 {
                let (now, later) = bytes.split_at(self.unchanged.min(bytes.len()));
                self.output.extend_from_slice(now);
                self.unchanged -= now.len();
                bytes = later;
                continue;
            }
            let missing = self.missing();
            let (now, later) = bytes.split_at(missing.min(bytes.len()));
            self.partial.extend_from_slice(now);
            bytes = later;
            if self.missing() == 0 {
                self.finish_message();
            }
        }
    }

    /// How much more must come before it is known what becomes of a message.
    fn missing(&self) -> usize {
        if self.partial.len() < HEADER {
            return HEADER - self.partial.len();
        }
        let whole = if self.is_annotated() { 1 + self.length() } else { HEADER };
        whole.saturating_sub(self.partial.len())
    }

    fn is_annotated(&self) -> bool {
        self.partial.first() == Some(&b'E') && self.length() <= MAX_ANNOTATED
    }

    /// What a message says its length is, but for its type.
    fn length(&self) -> usize {
        let length = self.partial.get(1..HEADER).and_then(|bytes| bytes.try_into().ok());
        length.map_or(0, u32::from_be_bytes) as usize
    }

    fn finish_message(&mut self) {
        if self.is_annotated() {
            annotate(&mut self.partial);
        } else {
            self.unchanged = (1 + self.length()).saturating_sub(HEADER);
        }
        self.output.append(&mut self.partial);
    }
}

/// Gives an error its SQLSTATE as its hint; the server's own hint follows it.
fn annotate(error: &mut Vec<u8>) {
    let Some(body) = error.get(HEADER..) else { return };
    let (mut code, mut hint) = (None, None);
    for field in body.split(|byte| *byte == 0) {
        match field.split_first() {
            Some((b'C', text)) => code = Some(text.to_vec()),
            Some((b'H', text)) => hint = Some(text.to_vec()),
            _ => {}
        }
    }
    let (Some(code), Some(0)) = (code, error.last()) else { return };
    error.pop();
    // Of two fields of one kind the driver takes the last.
    error.push(b'H');
    error.extend_from_slice(&code);
    if let Some(hint) = hint {
        error.push(b' ');
        error.extend_from_slice(&hint);
    }
    error.extend_from_slice(&[0, 0]);
    if let Ok(length) = u32::try_from(error.len() - 1) {
        error[1..HEADER].copy_from_slice(&length.to_be_bytes());
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for SqlstateStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            let output = &mut this.annotator.output;
            if !output.is_empty() {
                let count = output.len().min(buf.remaining());
                buf.put_slice(&output[..count]);
                output.drain(..count);
                return Poll::Ready(Ok(()));
            }
            let before = buf.filled().len();
            std::task::ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
            let came = &buf.filled()[before..];
            if came.is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.annotator.push(came);
            buf.set_filled(before);
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for SqlstateStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut message = vec![kind];
        message.extend_from_slice(&u32::try_from(body.len() + 4).expect("short").to_be_bytes());
        message.extend_from_slice(body);
        message
    }

    fn server_bytes() -> Vec<u8> {
        let long = vec![b'E'; 3_000];
        [
            message(b'D', &long),
            message(b'E', b"SFEHLER\0C57014\0Mstorniert\0\0"),
            message(b'Z', b"I"),
            message(b'E', b"SERROR\0C53100\0Mfull\0Hmake room\0\0"),
            message(b'E', b""),
            message(b'1', b""),
        ]
        .concat()
    }

    fn annotated_bytes() -> Vec<u8> {
        let long = vec![b'E'; 3_000];
        [
            message(b'D', &long),
            message(b'E', b"SFEHLER\0C57014\0Mstorniert\0H57014\0\0"),
            message(b'Z', b"I"),
            message(b'E', b"SERROR\0C53100\0Mfull\0Hmake room\0H53100 make room\0\0"),
            message(b'E', b""),
            message(b'1', b""),
        ]
        .concat()
    }

    #[test]
    fn errors_carry_their_sqlstate_at_any_read_size() {
        for size in [1, 2, 3, 7, 64, 5_000] {
            let mut annotator = ErrorAnnotator::default();
            for bytes in server_bytes().chunks(size) {
                annotator.push(bytes);
            }
            assert!(annotator.output == annotated_bytes(), "{size} bytes at a time");
            assert!(annotator.partial.is_empty() && annotator.unchanged == 0);
        }
    }

    #[tokio::test]
    async fn reader_gets_every_byte_at_any_buffer_size() {
        for size in [1, 3, 4_096] {
            let server_bytes = server_bytes();
            let mut annotated_words = SqlstateStream::new(&server_bytes[..]);
            let (mut read, mut portion) = (Vec::new(), vec![0; size]);
            loop {
                let count = annotated_words.read(&mut portion).await.expect("read");
                if count == 0 {
                    break;
                }
                read.extend_from_slice(&portion[..count]);
            }
            assert!(read == annotated_bytes(), "{size} bytes at a time");
        }
    }
}
