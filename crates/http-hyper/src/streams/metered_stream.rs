//! A connection whose client may send few bytes in a time.

use std::{
    io::{Error, ErrorKind, Result},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

/// Bytes that a client may send in [`INTERVAL`]: pongs, and some messages that are ignored.
const MAX_BYTES: usize = 64 * 1024;
const INTERVAL: Duration = Duration::from_secs(20);

/// Fails reads with [`ErrorKind::QuotaExceeded`] when the client sends too much.
pub(crate) struct MeteredStream<S> {
    stream: S,
    left: usize,
    since: Instant,
}

impl<S> MeteredStream<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, left: MAX_BYTES, since: Instant::now() }
    }

    fn count(&mut self, bytes: usize) -> Result<()> {
        if self.since.elapsed() >= INTERVAL {
            (self.left, self.since) = (MAX_BYTES, Instant::now());
        }
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(Error::from(ErrorKind::QuotaExceeded)),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for MeteredStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        Poll::Ready(self.count(buffer.filled().len() - before))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for MeteredStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
