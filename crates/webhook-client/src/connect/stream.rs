//! A connection that counts: what was sent, and how much may still be received.

use std::{
    error::Error,
    fmt, io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

/// Counters of one connection, shared with the exchange that uses it.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// Bytes of the current request that were handed to TCP or TLS.
    sent: AtomicU64,
    /// Bytes of the current response that may still be received.
    receivable: AtomicUsize,
}

/// A fault of the peer that the counters show; the source of the I/O error that ends the
/// connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The peer sent bytes before the connection carried a request, or after the response.
    Unsolicited,
    /// The peer sent more than one response may have.
    TooLong,
}

impl Meter {
    /// Starts an exchange whose response may have `receivable` bytes, interim responses included.
    pub(crate) fn start(&self, receivable: usize) {
        self.sent.store(0, Ordering::SeqCst);
        self.receivable.store(receivable, Ordering::SeqCst);
    }

    /// Ends the exchange: from now on every received byte is a fault.
    pub(crate) fn finish(&self) {
        self.sent.store(0, Ordering::SeqCst);
    }

    /// Returns whether a byte of the current request may have left.
    pub(crate) fn has_sent(&self) -> bool {
        self.sent.load(Ordering::SeqCst) > 0
    }

    fn count_sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::SeqCst);
    }

    fn count_received(&self, bytes: usize) -> Result<(), Fault> {
        if bytes == 0 {
            return Ok(());
        }
        if !self.has_sent() {
            return Err(Fault::Unsolicited);
        }
        let left = self.receivable.load(Ordering::SeqCst);
        self.receivable.store(left.saturating_sub(bytes), Ordering::SeqCst);
        if left < bytes { Err(Fault::TooLong) } else { Ok(()) }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsolicited => "the peer sent bytes that answer no request",
            Self::TooLong => "the response is too long",
        })
    }
}

impl Error for Fault {}

/// A TCP or TLS connection whose bytes are counted.
#[derive(Debug)]
pub(crate) struct MeteredStream {
    stream: Transport,
    meter: Arc<Meter>,
}

#[derive(Debug)]
pub(super) enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl MeteredStream {
    pub(super) fn new(stream: Transport) -> Self {
        Self { stream, meter: Arc::default() }
    }

    pub(crate) fn meter(&self) -> Arc<Meter> {
        Arc::clone(&self.meter)
    }
}

/// Calls a method of the stream inside, pinned.
macro_rules! inner {
    ($self:ident.$method:ident($($argument:expr),*)) => {
        match &mut $self.stream {
            Transport::Plain(stream) => Pin::new(stream).$method($($argument),*),
            Transport::Tls(stream) => Pin::new(stream).$method($($argument),*),
        }
    };
}

impl AsyncRead for MeteredStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = inner!(self.poll_read(cx, buffer));
        if let Poll::Ready(Ok(())) = read
            && let Err(fault) = self.meter.count_received(buffer.filled().len() - before)
        {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, fault)));
        }
        read
    }
}

impl AsyncWrite for MeteredStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = inner!(self.poll_write(cx, bytes));
        if let Poll::Ready(Ok(count)) = written {
            self.meter.count_sent(count);
        }
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = inner!(self.poll_write_vectored(cx, slices));
        if let Poll::Ready(Ok(count)) = written {
            self.meter.count_sent(count);
        }
        written
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Transport::Plain(stream) => stream.is_write_vectored(),
            Transport::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        inner!(self.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        inner!(self.poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn received_bytes_need_a_request() {
        let meter = Meter::default();
        assert_eq!(meter.count_received(0), Ok(()));
        assert_eq!(meter.count_received(1), Err(Fault::Unsolicited));
        meter.start(10);
        assert_eq!(meter.count_received(1), Err(Fault::Unsolicited));
        meter.count_sent(1);
        assert_eq!(meter.count_received(10), Ok(()));
        assert_eq!(meter.count_received(1), Err(Fault::TooLong));
        meter.finish();
        assert!(!meter.has_sent());
        assert_eq!(meter.count_received(1), Err(Fault::Unsolicited));
    }
}
