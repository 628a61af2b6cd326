//! One connection: what it is up to, and when patience with it ends.
//!
//! hyper bounds how long headers take once it knows the protocol, and pings HTTP/2 peers. What it
//! leaves open (a peer that says nothing, half a preface, a preface and nothing else, an HTTP/2
//! connection nobody uses) ends here, by watching whether requests are under way.

use std::{
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use hyper_util::server::graceful::GracefulConnection;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::{limits::Limits, reply::Body};

/// How many requests of a connection are under way, and when that last changed. Nobody is woken by it:
/// a connection is busy far more often than it is looked at.
#[derive(Clone, Debug)]
pub(crate) struct Activity(Arc<Pulse>);

#[derive(Debug)]
struct Pulse {
    began: Instant,
    under_way: AtomicUsize,
    /// Milliseconds after `began` at which a request last began or ended; 0 before the first.
    changed: AtomicU64,
}

/// A request under way, until its answer is handed over.
#[derive(Debug)]
pub(crate) struct UnderWay(Activity);

impl Activity {
    pub(crate) fn none() -> Self {
        let (under_way, changed) = (AtomicUsize::new(0), AtomicU64::new(0));
        Self(Arc::new(Pulse { began: Instant::now(), under_way, changed }))
    }

    pub(crate) fn begin(&self) -> UnderWay {
        self.0.under_way.fetch_add(1, Ordering::SeqCst);
        self.note();
        UnderWay(self.clone())
    }

    fn note(&self) {
        let millis = u64::try_from(self.0.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.changed.store(millis.max(1), Ordering::SeqCst);
    }

    /// Since when nothing has been under way; `None` while something is.
    fn still_since(&self) -> Option<Instant> {
        let changed = Duration::from_millis(self.0.changed.load(Ordering::SeqCst));
        (self.0.under_way.load(Ordering::SeqCst) == 0).then(|| self.0.began + changed)
    }

    /// Whether there ever was a request.
    fn ever(&self) -> bool {
        self.0.changed.load(Ordering::SeqCst) > 0
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.note();
        self.0.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

/// An answer's body, which keeps its request under way until hyper has taken all of it.
pub(crate) struct Watched {
    pub(crate) body: Body,
    pub(crate) _under_way: UnderWay,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// How long a connection that was asked to end, and has nothing under way, may take to do so.
const PARTING: Duration = Duration::from_secs(3);

/// Drives a connection to its end.
pub(crate) async fn drive<C: GracefulConnection>(
    connection: C,
    activity: &Activity,
    limits: &Limits,
    stop: &CancellationToken,
    cut: &CancellationToken,
) {
    let mut connection = pin!(connection);
    // Since when it was asked to end.
    let mut closing = None;
    let patience = |closing: Option<Instant>| match closing {
        Some(_) => PARTING,
        None if activity.ever() => limits.idle,
        None => limits.first_request,
    };
    let mut look_again = pin!(sleep_until(Instant::now() + patience(closing)));
    loop {
        tokio::select! {
            biased;
            _ = connection.as_mut() => return,
            () = cut.cancelled() => return,
            () = stop.cancelled(), if closing.is_none() => {}
            () = look_again.as_mut() => {
                let now = Instant::now();
                let still = activity.still_since().map(|since| closing.map_or(since, |at| since.max(at)));
                let end = still.unwrap_or(now) + patience(closing);
                if still.is_none() || end > now {
                    look_again.as_mut().reset(end);
                    continue;
                }
                if closing.is_some() {
                    return;
                }
            }
        }
        closing = Some(Instant::now());
        connection.as_mut().graceful_shutdown();
        look_again.as_mut().reset(Instant::now() + PARTING);
    }
}
