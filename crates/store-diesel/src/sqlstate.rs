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
const HEAD: usize = 5;
/// An error that is longer is passed on as it is.
const MOST: usize = 64 * 1024;

/// The SQLSTATE of an error, if the server gave one.
pub(crate) fn of(error: &dyn DatabaseErrorInformation) -> Option<&str> {
    let code = error.hint()?.split(' ').next()?;
    (code.len() == 5 && code.bytes().all(|byte| byte.is_ascii_alphanumeric())).then_some(code)
}

/// A connection whose errors carry their SQLSTATE.
pub(crate) struct Annotated<S> {
    inner: S,
    annotator: Annotator,
}

impl<S> Annotated<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self { inner, annotator: Annotator::default() }
    }

    pub(crate) fn inner(&self) -> &S {
        &self.inner
    }
}

/// Where in the server's words a connection is.
#[derive(Default)]
struct Annotator {
    /// The head of a message that has not come whole, or an error that has not.
    held: Vec<u8>,
    /// How much of a message is still to be passed on.
    passing: usize,
    /// What is to be read before anything else.
    ready: Vec<u8>,
}

impl Annotator {
    /// Takes in what came, and adds to `ready` what of it can be passed on.
    fn take_in(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.passing > 0 {
                let (now, later) = bytes.split_at(self.passing.min(bytes.len()));
                self.ready.extend_from_slice(now);
                self.passing -= now.len();
                bytes = later;
                continue;
            }
            let missing = self.missing();
            let (now, later) = bytes.split_at(missing.min(bytes.len()));
            self.held.extend_from_slice(now);
            bytes = later;
            if self.missing() == 0 {
                self.let_go();
            }
        }
    }

    /// How much more must come before it is known what becomes of a message.
    fn missing(&self) -> usize {
        if self.held.len() < HEAD {
            return HEAD - self.held.len();
        }
        let whole = if self.is_annotated() { 1 + self.length() } else { HEAD };
        whole.saturating_sub(self.held.len())
    }

    fn is_annotated(&self) -> bool {
        self.held.first() == Some(&b'E') && self.length() <= MOST
    }

    /// What a message says its length is, but for its type.
    fn length(&self) -> usize {
        let length = self.held.get(1..HEAD).and_then(|bytes| bytes.try_into().ok());
        length.map_or(0, u32::from_be_bytes) as usize
    }

    fn let_go(&mut self) {
        if self.is_annotated() {
            annotate(&mut self.held);
        } else {
            self.passing = (1 + self.length()).saturating_sub(HEAD);
        }
        self.ready.append(&mut self.held);
    }
}

/// Gives an error its SQLSTATE as its hint; the server's own hint follows it.
fn annotate(error: &mut Vec<u8>) {
    let Some(body) = error.get(HEAD..) else { return };
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
        error[1..HEAD].copy_from_slice(&length.to_be_bytes());
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Annotated<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            let ready = &mut this.annotator.ready;
            if !ready.is_empty() {
                let count = ready.len().min(buf.remaining());
                buf.put_slice(&ready[..count]);
                ready.drain(..count);
                return Poll::Ready(Ok(()));
            }
            let before = buf.filled().len();
            std::task::ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
            let came = &buf.filled()[before..];
            if came.is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.annotator.take_in(came);
            buf.set_filled(before);
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Annotated<S> {
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

    fn words() -> Vec<u8> {
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

    fn annotated() -> Vec<u8> {
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
    fn an_error_carries_its_sqlstate_however_its_bytes_come() {
        for size in [1, 2, 3, 7, 64, 5_000] {
            let mut annotator = Annotator::default();
            for bytes in words().chunks(size) {
                annotator.take_in(bytes);
            }
            assert!(annotator.ready == annotated(), "{size} bytes at a time");
            assert!(annotator.held.is_empty() && annotator.passing == 0);
        }
    }

    #[tokio::test]
    async fn a_reader_reads_every_byte_in_whatever_portions() {
        for size in [1, 3, 4_096] {
            let words = words();
            let mut annotated_words = Annotated::new(&words[..]);
            let (mut read, mut portion) = (Vec::new(), vec![0; size]);
            loop {
                let count = annotated_words.read(&mut portion).await.expect("read");
                if count == 0 {
                    break;
                }
                read.extend_from_slice(&portion[..count]);
            }
            assert!(read == annotated(), "{size} bytes at a time");
        }
    }
}
