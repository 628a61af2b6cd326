//! The socket under hyper: it words the answers that hyper makes by itself, and closes gently.
//!
//! To a request it cannot read (headers too large, a path that is no text) hyper answers with a bare
//! status and no body; here that becomes the error every other caller reads. And when a connection
//! is closed while its peer still sends, the kernel would reset it and the peer might never see the
//! answer; so what still comes is read and dropped for a moment first.

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
    net::TcpStream,
    time::{Sleep, sleep},
};

use crate::listener::service::HttpService;

/// How long, and how much, a peer may go on sending after it was answered.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 16 * 1024 * 1024;

/// A TCP stream with manners.
pub(crate) struct LingeringStream {
    stream: TcpStream,
    service: HttpService,
    /// An apology being written in place of this many bytes of hyper's.
    raw_error: Option<(Vec<u8>, usize, usize)>,
    unread: Arc<AtomicBool>,
    linger: Option<(Pin<Box<Sleep>>, usize)>,
}

impl LingeringStream {
    /// `unread` is set when a request was answered before it was read to its end.
    pub(crate) fn new(stream: TcpStream, service: HttpService, unread: Arc<AtomicBool>) -> Self {
        Self { stream, service, raw_error: None, unread, linger: None }
    }

    /// Writes what is left of the apology; then what it replaced counts as written.
    fn poll_raw_error(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        while let Some((text, written, instead_of)) = &mut self.raw_error {
            if *written == text.len() {
                let instead_of = *instead_of;
                self.raw_error = None;
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

/// The status of an answer that hyper made by itself: a head without a body, and without the request
/// id that every answer of ours has. Nothing else we send has bare line ends in it.
fn status_of_bare_response(text: &[u8]) -> Option<StatusCode> {
    let made_by_hyper = text.starts_with(b"HTTP/1.1 4") || text.starts_with(b"HTTP/1.0 4");
    if !made_by_hyper || !text.ends_with(b"\r\n\r\n") {
        return None;
    }
    let ours = text.windows(14).any(|part| part.eq_ignore_ascii_case(b"\r\nx-request-id"));
    if ours { None } else { StatusCode::from_bytes(text.get(9..12)?).ok() }
}

impl AsyncRead for LingeringStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for LingeringStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        text: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.raw_error.is_none() {
            let Some(status) = status_of_bare_response(text) else {
                return Pin::new(&mut self.stream).poll_write(context, text);
            };
            self.unread.store(true, Ordering::Relaxed);
            self.raw_error = Some((self.service.raw_error(status), 0, text.len()));
        }
        self.poll_raw_error(context)
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
                // The end, or a peer that is gone.
                Ok(()) | Err(_) => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_responses_made_by_hyper_are_replaced() {
        let bare = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(
            status_of_bare_response(bare),
            Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
        );
        let ours = b"HTTP/1.1 404 Not Found\r\nx-request-id: 1\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(status_of_bare_response(ours), None);
        assert_eq!(status_of_bare_response(b"HTTP/1.1 200 OK\r\n\r\n"), None);
        assert_eq!(status_of_bare_response(b"{\"label\":\"HTTP/1.1 431\"}"), None);
        assert_eq!(status_of_bare_response(b""), None);
    }
}
