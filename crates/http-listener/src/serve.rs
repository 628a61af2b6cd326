//! The accept loop: HTTP/1.1 and HTTP/2 on one port, with TLS or without, until the listener stops.

use std::{
    convert::Infallible,
    io,
    net::IpAddr,
    ops::RangeInclusive,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulConnection},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    access_log::AccessLog,
    connection::drive,
    connections::{ConnectionGuard, Connections},
    limits::Limits,
    lingering_stream::LingeringStream,
    service::{HttpService, ServerHandle},
    tls::{ListenerTls, handshake},
    tracked_body::TrackedBody,
};

/// How a listener stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Drained {
    /// Every request in flight was finished.
    Finished,
    /// The time limit passed, and the remaining requests were cut off.
    CutOff,
}

/// Interval of pings to HTTP/2 peers, and the time for their answer.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Answers requests without TLS until `stop` is cancelled; see [`serve_with_tls`].
pub async fn serve<L: AccessLog>(
    listener: TcpListener,
    service: HttpService<L>,
    stop: CancellationToken,
) -> Drained {
    serve_with_tls(listener, None, service, stop).await
}

/// Answers requests until `stop` is cancelled, over TLS if `tls` is given. Then accepts no
/// connection, ends long polls and streams, and lets requests in flight finish within
/// [`Limits::drain`]: a request is finished when its response is written, or when its peer has not
/// read for 3 s. A connection with streams alone is dropped after half a second. The rest is cut
/// off, and gets its access log records before this function returns.
pub async fn serve_with_tls<L: AccessLog>(
    listener: TcpListener,
    tls: Option<ListenerTls>,
    service: HttpService<L>,
    stop: CancellationToken,
) -> Drained {
    let tasks = TaskTracker::new();
    let connections = Connections::new(service.limits());
    let server = ServerHandle { stop: Arc::new(stop.clone()), tasks: tasks.clone() };
    let protocol = Arc::new(protocol(service.limits()));
    if let Some(tls) = tls.clone() {
        tasks.spawn(stop.clone().run_until_cancelled_owned(tls.watch_files()));
    }
    loop {
        let (stream, guard) = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = async {
                let (stream, peer) = accept(&listener, &connections).await;
                (stream, connections.admit(peer).await)
            } => accepted,
        };
        let (service, server, protocol) = (service.clone(), server.clone(), protocol.clone());
        let guard = Arc::new(guard);
        set_options(&stream, service.limits());
        let Some(acceptor) = tls.as_ref().map(ListenerTls::acceptor) else {
            tasks.spawn(async move {
                serve_connection(stream, guard, &service, &server, &protocol).await;
            });
            continue;
        };
        tasks.spawn(async move {
            let stream = handshake(stream, &acceptor, &guard, service.limits(), &server.stop).await;
            if let Some(stream) = stream {
                serve_connection(stream, guard, &service, &server, &protocol).await;
            }
        });
    }
    drop(listener);
    tasks.close();
    if timeout(service.limits().drain, tasks.wait()).await.is_ok() {
        return Drained::Finished;
    }
    connections.end_all().await;
    Drained::CutOff
}

/// Returns the next connection. When the system lacks resources, ends another connection and
/// retries after a growing pause of at most 1 s.
async fn accept(listener: &TcpListener, connections: &Connections) -> (TcpStream, IpAddr) {
    let mut pause = Duration::from_millis(10);
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer.ip()),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections");
                connections.evict_one();
                sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(1));
            }
        }
    }
}

/// Returns whether the error concerns one connection, not the listener.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Bytes of a body that an HTTP/2 peer may send before they are read. All bodies of a connection
/// together may have twice as many.
const STREAM_WINDOW: RangeInclusive<u32> = 64 * 1024..=1024 * 1024;
/// Bytes of a response that are buffered for an HTTP/2 peer beyond its window.
const SEND_BUFFER_BYTES: usize = 64 * 1024;
/// Streams that an HTTP/2 peer may reset before the server accepts them; more end the connection.
const MAX_PENDING_RESET_STREAMS: usize = 20;
/// Streams that the server may reset because of faults of the peer, over the life of a connection.
/// A client that continues to send after an early response causes such resets.
const MAX_ERROR_RESET_STREAMS: usize = 256;

fn protocol(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let body = u32::try_from(limits.body_bytes).unwrap_or(u32::MAX);
    let window = body.clamp(*STREAM_WINDOW.start(), *STREAM_WINDOW.end());
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.idle)
        // The minimum that hyper accepts.
        .max_buf_size(limits.header_bytes.max(8192))
        .max_headers(limits.header_count);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .max_concurrent_streams(limits.http2_streams)
        .initial_stream_window_size(window)
        .initial_connection_window_size(window * 2)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .max_pending_accept_reset_streams(MAX_PENDING_RESET_STREAMS)
        .max_local_error_reset_streams(MAX_ERROR_RESET_STREAMS)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

async fn serve_connection<S, L>(
    stream: S,
    guard: Arc<ConnectionGuard>,
    service: &HttpService<L>,
    server: &ServerHandle,
    protocol: &auto::Builder<TokioExecutor>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    L: AccessLog,
{
    let unread = Arc::new(AtomicBool::new(false));
    let raw_error = {
        let service = service.clone();
        move |status| service.raw_error(status)
    };
    let io = TokioIo::new(LingeringStream::new(stream, raw_error, unread.clone()));
    // One `Arc` for each connection: processors would contend for the counter of a shared one.
    let shared = Arc::new((service.clone(), server.clone(), guard.clone()));
    let respond = |request: Request<Incoming>| {
        let (shared, unread, activity) = (shared.clone(), unread.clone(), guard.activity.begin());
        async move {
            let (service, server, guard) = &*shared;
            let (response, consumed) = service.handle(request, server, guard, activity).await;
            if !consumed {
                unread.store(true, Ordering::Relaxed);
            }
            Ok::<Response<TrackedBody>, Infallible>(response)
        }
    };
    let connection = protocol.serve_connection_with_upgrades(io, service_fn(respond));
    let close = GracefulConnection::graceful_shutdown;
    drive(connection, close, &guard, service.limits(), &server.stop).await;
}

/// Sets the options of an accepted socket. A socket without them works less well.
fn set_options(stream: &TcpStream, limits: &Limits) {
    // Responses and events are small and written whole: waiting for more data would only delay
    // them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    if let Err(error) = bound_buffers(stream, limits) {
        tracing::debug!(%error, "cannot set the options of a socket");
    }
}

/// Unsent bytes of a socket up to which the system accepts more. Without this bound, the system
/// buffers megabytes, and accepts no byte for minutes from a stream whose peer reads slowly.
#[cfg(target_os = "linux")]
const MAX_UNSENT_BYTES: u32 = 16 * 1024;

/// Sets options of tcp(7). Without the timeout, the system would buffer a quiet stream for a
/// vanished peer for hours.
#[cfg(target_os = "linux")]
fn bound_buffers(stream: &TcpStream, limits: &Limits) -> io::Result<()> {
    let socket = socket2::SockRef::from(stream);
    socket.set_tcp_notsent_lowat(MAX_UNSENT_BYTES)?;
    socket.set_tcp_user_timeout(Some(limits.stream_stall))
}

/// Does nothing: other systems have no such options.
#[cfg(not(target_os = "linux"))]
fn bound_buffers(_: &TcpStream, _: &Limits) -> io::Result<()> {
    Ok(())
}
