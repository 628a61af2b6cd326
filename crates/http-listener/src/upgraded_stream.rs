//! The bytes of a connection after its upgrade to another protocol, counted for the access log and
//! for the progress of the peer.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::open_request::OpenRequest;

/// The connection of a request after its 101 response.
pub struct UpgradedStream {
    stream: TokioIo<Upgraded>,
    request: Arc<OpenRequest>,
    /// Bytes of a write that the socket did not accept, reported as unwritten.
    blocked: usize,
}

impl UpgradedStream {
    pub(crate) fn new(stream: Upgraded, request: Arc<OpenRequest>) -> Self {
        Self { stream: TokioIo::new(stream), request, blocked: 0 }
    }

    /// Reports the result of a write of at most `length` bytes.
    fn report(&mut self, length: usize, written: &Poll<io::Result<usize>>) {
        match written {
            Poll::Pending if self.blocked == 0 => {
                self.blocked = length;
                self.request.activity.stream_queued(length);
            }
            Poll::Pending => {}
            Poll::Ready(written) => {
                self.unblock();
                self.request.activity.connection().record_progress();
                // Bytes of a failed write remain unwritten, which marks the record as aborted.
                self.request.log.queued(*written.as_ref().unwrap_or(&length));
                self.request.log.written(*written.as_ref().unwrap_or(&0));
            }
        }
    }

    fn unblock(&mut self) {
        self.request.activity.stream_abandoned(std::mem::take(&mut self.blocked));
    }
}

impl AsyncRead for UpgradedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        self.request.activity.connection().record_progress();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for UpgradedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.report(bytes.len(), &written);
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Drop for UpgradedStream {
    fn drop(&mut self) {
        self.unblock();
    }
}

impl std::fmt::Debug for UpgradedStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UpgradedStream").finish_non_exhaustive()
    }
}
