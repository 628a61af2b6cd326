//! The socket below hyper: replaces responses that hyper makes itself, and closes with a pause.
//!
//! When a connection is closed while its peer still sends, the kernel resets the connection and the
//! peer may lose the response. The stream therefore reads and drops the peer's data for a moment
//! before the connection closes.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::StatusCode;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use crate::raw_error::status_of_bare_response;

/// Time and bytes for which the stream drops data of a peer after the response.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 16 * 1024 * 1024;

/// A stream, of TCP or of TLS over TCP, that replaces hyper's own responses by the text of
/// `raw_error`, and lingers when closed.
pub(crate) struct LingeringStream<S, E> {
    stream: S,
    raw_error: E,
    replacement: Option<Replacement>,
    unread: Arc<AtomicBool>,
    linger: Option<(Pin<Box<Sleep>>, usize)>,
}

/// A text that is written in place of bytes of hyper.
struct Replacement {
    text: Vec<u8>,
    written: usize,
    /// The number of hyper's bytes, reported as written at the end.
    instead_of: usize,
}

impl<S: AsyncWrite + Unpin, E> LingeringStream<S, E> {
    /// Wraps `stream`. `unread` is set when a response was sent before the request was read to its
    /// end.
    pub(crate) fn new(stream: S, raw_error: E, unread: Arc<AtomicBool>) -> Self {
        Self { stream, raw_error, replacement: None, unread, linger: None }
    }

    /// Writes the rest of the replacement, then reports the bytes of hyper as written.
    fn poll_replacement(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        while let Some(Replacement { text, written, instead_of }) = &mut self.replacement {
            if *written == text.len() {
                let instead_of = *instead_of;
                self.replacement = None;
                return Poll::Ready(Ok(instead_of));
            }
            let stream = Pin::new(&mut self.stream);
            match ready!(stream.poll_write(context, &text[*written..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => *written += count,
            }
        }
        Poll::Ready(Ok(0))
    }
}

impl<S: AsyncRead + Unpin, E: Unpin> AsyncRead for LingeringStream<S, E> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S, E> AsyncWrite for LingeringStream<S, E>
where
    S: AsyncRead + AsyncWrite + Unpin,
    E: Fn(StatusCode) -> Vec<u8> + Unpin,
{
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        text: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.replacement.is_none() {
            let Some(status) = status_of_bare_response(text) else {
                return Pin::new(&mut self.stream).poll_write(context, text);
            };
            self.unread.store(true, Ordering::Relaxed);
            let (replacement, instead_of) = ((self.raw_error)(status), text.len());
            self.replacement = Some(Replacement { text: replacement, written: 0, instead_of });
        }
        self.poll_replacement(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut filled = parts.iter().filter(|part| !part.is_empty());
        match (filled.next(), filled.next()) {
            (Some(only), None) => self.poll_write(context, only),
            _ => Pin::new(&mut self.stream).poll_write_vectored(context, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
            if !self.unread.load(Ordering::Relaxed) {
                return Poll::Ready(Ok(()));
            }
            self.linger = Some((Box::pin(sleep(LINGER)), 0));
        }
        let Self { stream, linger: Some((time, bytes)), .. } = &mut *self else {
            return Poll::Ready(Ok(()));
        };
        let mut scratch = [0; 8192];
        while time.as_mut().poll(context).is_pending() && *bytes < LINGER_BYTES {
            let mut buffer = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => *bytes += buffer.filled().len(),
                // The peer has closed its side, or the connection is broken.
                Ok(()) | Err(_) => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}
