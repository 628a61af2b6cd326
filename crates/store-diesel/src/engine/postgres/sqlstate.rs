//! Passes on the SQLSTATE of PostgreSQL's errors.
//!
//! diesel-async passes on message, detail and hint of an error and drops the SQLSTATE, the only
//! part that does not depend on the server's language. So the bytes of each connection pass through
//! [`SqlstateStream`], which writes the SQLSTATE into the hint of each `ErrorResponse`, where
//! [`of`] reads it. All other bytes pass unchanged. Format (the protocol's section on messages): a
//! type byte, a length of four bytes that includes itself, and the body. The body of an
//! `ErrorResponse` (`E`) is a list of fields, each a byte and a zero-terminated text, and a final
//! zero.
//!
//! Decision: ADR 0029.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use diesel::result::DatabaseErrorInformation;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes of the type and the length of a message.
const HEADER: usize = 5;

/// Errors longer than 64 KiB pass unchanged.
const MAX_ANNOTATED: usize = 64 * 1024;

/// Returns the SQLSTATE of an error, if the server sent one.
pub(crate) fn of(error: &dyn DatabaseErrorInformation) -> Option<&str> {
    let code = error.hint()?.split(' ').next()?;
    (code.len() == 5 && code.bytes().all(|byte| byte.is_ascii_alphanumeric())).then_some(code)
}

/// A stream that adds the SQLSTATE to errors.
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

/// The position in the byte stream of the server.
#[derive(Default)]
struct ErrorAnnotator {
    /// An incomplete header, or an incomplete error message.
    partial: Vec<u8>,
    /// Number of bytes of the current message that still pass unchanged.
    unchanged: usize,
    /// Bytes for the next read.
    output: Vec<u8>,
}

impl ErrorAnnotator {
    /// Processes received bytes, and appends the bytes that can be passed on to `output`.
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

    /// Returns the number of bytes until the message can be classified or is complete.
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

    /// Returns the length field of the message, which excludes the type byte.
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

/// Replaces the hint of an error by the SQLSTATE and the original hint.
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
    // The driver uses the last of several fields of one kind.
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
