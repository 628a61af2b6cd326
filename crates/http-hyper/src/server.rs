//! The listener: HTTP/1.1 and HTTP/2 without TLS on one port, until told to stop.

use std::{
    convert::Infallible,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    apology::Polite,
    connection::{Activity, Watched, drive},
    limits::Limits,
    service::{Door, House},
};

/// How a listener stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Drained {
    /// Every request under way was finished.
    Finished,
    /// The time for that ran out, and what was left was cut off.
    CutOff,
}

/// How often HTTP/2 peers are asked whether they are still there, and how long they may think.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Answers requests until `stop`; then accepts nothing more, cuts long waits short, and lets requests
/// under way finish within [`Limits::drain`].
pub async fn serve(listener: TcpListener, door: Door, stop: CancellationToken) -> Drained {
    let (tasks, cut) = (TaskTracker::new(), CancellationToken::new());
    let connections = Arc::new(Semaphore::new(door.limits().connections));
    let house = House { stop: Arc::new(stop.clone()), tasks: tasks.clone() };
    let protocol = Arc::new(protocol(door.limits()));
    loop {
        // No place, no accept: whoever comes waits in the kernel's queue.
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = async {
                let place = connections.clone().acquire_owned().await;
                (place, accept(&listener).await)
            } => accepted,
        };
        let (Ok(place), stream) = accepted else { break };
        let (door, house, protocol, cut) =
            (door.clone(), house.clone(), protocol.clone(), cut.clone());
        tasks.spawn(async move {
            attend(stream, &door, &house, &protocol, &cut).await;
            drop(place);
        });
    }
    drop(listener);
    tasks.close();
    if timeout(door.limits().drain, tasks.wait()).await.is_ok() {
        return Drained::Finished;
    }
    cut.cancel();
    Drained::CutOff
}

/// The next connection. What fails for lack of something is tried again after a growing while.
async fn accept(listener: &TcpListener) -> TcpStream {
    let mut pause = Duration::from_millis(10);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections");
                sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(1));
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

fn protocol(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.idle)
        // hyper takes nothing below this.
        .max_buf_size(limits.header_bytes.max(8192))
        .max_headers(limits.header_count);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .max_concurrent_streams(limits.streams)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

async fn attend(
    stream: TcpStream,
    door: &Door,
    house: &House,
    protocol: &auto::Builder<TokioExecutor>,
    cut: &CancellationToken,
) {
    // Answers are small and written whole: waiting for more would only delay them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let (activity, unread) = (Activity::none(), Arc::new(AtomicBool::new(false)));
    let io = TokioIo::new(Polite::new(stream, door.clone(), unread.clone()));
    // Counted by this connection alone: what all of them count, processors take turns at.
    let way = Arc::new((door.clone(), house.clone()));
    let answer = |request: Request<Incoming>| {
        let (way, unread, under_way) = (way.clone(), unread.clone(), activity.begin());
        async move {
            let (door, house) = &*way;
            let (response, spent) = door.answer(request, house).await;
            if !spent {
                unread.store(true, Ordering::Relaxed);
            }
            let watched = |body| Watched { body, _under_way: under_way };
            Ok::<Response<Watched>, Infallible>(response.map(watched))
        }
    };
    let connection = protocol.serve_connection(io, service_fn(answer));
    drive(connection, &activity, door.limits(), &house.stop, cut).await;
}
