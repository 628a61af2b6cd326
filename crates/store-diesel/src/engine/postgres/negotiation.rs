//! Negotiates TLS with PostgreSQL and adds the SQLSTATE to errors.
//!
//! The driver calls a connector only for TLS connections. This connector negotiates TLS itself (the
//! protocol's section on SSL session encryption), so that the driver calls it for plain connections
//! too.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio_postgres::{
    config::{SslMode, SslNegotiation},
    tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::engine::postgres::sqlstate::SqlstateStream;

/// `SSLRequest`: length and code.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// The TLS settings of a server.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) tls: MakeRustlsConnect,
    pub(crate) mode: SslMode,
    pub(crate) scheme: SslNegotiation,
}

/// The TLS stream over a stream of type `S`.
type Tls<S> = <MakeRustlsConnect as MakeTlsConnect<S>>::Stream;

/// A connector for one host.
pub(crate) struct Negotiation<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    tls: <MakeRustlsConnect as MakeTlsConnect<S>>::TlsConnect,
    mode: SslMode,
    scheme: SslNegotiation,
}

impl<S> MakeTlsConnect<S> for Connector
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = SqlstateStream<MaybeTlsStream<S>>;
    type TlsConnect = Negotiation<S>;
    type Error = <MakeRustlsConnect as MakeTlsConnect<S>>::Error;

    fn make_tls_connect(&mut self, host: &str) -> Result<Negotiation<S>, Self::Error> {
        let tls = MakeTlsConnect::<S>::make_tls_connect(&mut self.tls, host)?;
        Ok(Negotiation { tls, mode: self.mode, scheme: self.scheme })
    }
}

impl<S> TlsConnect<S> for Negotiation<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = SqlstateStream<MaybeTlsStream<S>>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Stream>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move { self.negotiate(stream).await.map(SqlstateStream::new) })
    }
}

impl<S> Negotiation<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    async fn negotiate(self, mut stream: S) -> io::Result<MaybeTlsStream<S>> {
        if self.mode == SslMode::Disable {
            return Ok(MaybeTlsStream::Plain(stream));
        }
        if self.scheme != SslNegotiation::Direct {
            stream.write_all(&SSL_REQUEST).await?;
            stream.flush().await?;
            match stream.read_u8().await? {
                b'S' => {}
                _ if self.mode == SslMode::Prefer => return Ok(MaybeTlsStream::Plain(stream)),
                _ => return Err(io::Error::other("the server does not support TLS")),
            }
        }
        Ok(MaybeTlsStream::Tls(self.tls.connect(stream).await?))
    }
}

/// A connection with or without TLS.
pub(crate) enum MaybeTlsStream<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    Plain(S),
    Tls(Tls<S>),
}

/// Runs the expression on either kind of stream.
macro_rules! either {
    ($link:expr, |$stream:ident| $body:expr) => {
        match $link.get_mut() {
            MaybeTlsStream::Plain(stream) => {
                let $stream = Pin::new(stream);
                $body
            }
            MaybeTlsStream::Tls(stream) => {
                let $stream = Pin::new(stream);
                $body
            }
        }
    };
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> AsyncRead for MaybeTlsStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self, |stream| stream.poll_read(cx, buf))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> AsyncWrite for MaybeTlsStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        either!(self, |stream| stream.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, |stream| stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, |stream| stream.poll_shutdown(cx))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TlsStream
    for SqlstateStream<MaybeTlsStream<S>>
{
    fn channel_binding(&self) -> ChannelBinding {
        match self.inner() {
            MaybeTlsStream::Plain(_) => ChannelBinding::none(),
            MaybeTlsStream::Tls(stream) => stream.channel_binding(),
        }
    }
}
