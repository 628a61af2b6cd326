//! One connection: what it is up to, and when patience with it ends.
//!
//! hyper bounds how long headers take once it knows the protocol, and pings HTTP/2 peers. What it
//! leaves open (a peer that says nothing, half a preface, a preface and nothing else, an HTTP/2
//! connection nobody uses) ends here, by watching whether requests are under way.

use std::{
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use hyper_util::server::graceful::GracefulConnection;
use tokio::{sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{limits::Limits, reply::Body};

/// How many requests of a connection are under way, and whether there ever was one.
#[derive(Clone, Debug)]
pub(crate) struct Activity(Arc<watch::Sender<Load>>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Load {
    under_way: usize,
    ever: bool,
}

/// A request under way, until its answer is handed over.
#[derive(Debug)]
pub(crate) struct UnderWay(Activity);

impl Activity {
    pub(crate) fn none() -> Self {
        Self(Arc::new(watch::Sender::new(Load::default())))
    }

    pub(crate) fn begin(&self) -> UnderWay {
        self.0.send_modify(|load| *load = Load { under_way: load.under_way + 1, ever: true });
        UnderWay(self.clone())
    }

    /// Returns once nothing has been under way for as long as `patience` says, given whether there
    /// ever was a request.
    async fn still_for(&self, patience: impl Fn(bool) -> Duration) {
        let mut loads = self.0.subscribe();
        loop {
            let load = *loads.borrow_and_update();
            if load.under_way > 0 {
                // Cannot fail: the sender lives as long as `self`.
                let _ = loads.changed().await;
            } else if timeout(patience(load.ever), loads.changed()).await.is_err() {
                return;
            }
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.0.send_modify(|load| load.under_way = load.under_way.saturating_sub(1));
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
    let mut closing = false;
    loop {
        let patience = |ever| match (closing, ever) {
            (true, _) => PARTING,
            (false, true) => limits.idle,
            (false, false) => limits.first_request,
        };
        tokio::select! {
            _ = connection.as_mut() => return,
            () = cut.cancelled() => return,
            () = activity.still_for(patience) => {
                if closing {
                    return;
                }
                closing = true;
                connection.as_mut().graceful_shutdown();
            }
            () = stop.cancelled(), if !closing => {
                closing = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}
