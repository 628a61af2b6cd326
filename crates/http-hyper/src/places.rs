//! The places of requests: of those that are worked on, those that wait, and those whose caller is not
//! known yet. Each kind is shared by itself, so that waiting takes nothing from work (ADR 0027).

use std::{pin::pin, sync::Arc, task::Poll};

use futures_util::poll;

use crate::{
    limits::Limits,
    problem::{Problem, Result},
    shares::{Full, Holder, Place, Shares},
};

/// The places of one listener.
#[derive(Debug)]
pub(crate) struct Places {
    /// Shared by the addresses that requests come from.
    authentication: Arc<Shares>,
    /// Shared by organizations and their credentials.
    work: Arc<Shares>,
    /// The same, for bodies that are on their way and for long polls.
    waiting: Arc<Shares>,
}

impl Places {
    pub(crate) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            authentication: Shares::new(limits.requests),
            work: Shares::new(limits.requests),
            waiting: Shares::new(limits.waiting),
        })
    }

    /// A place for a request that is worked on.
    ///
    /// # Errors
    /// 429 when its caller, or the caller's organization, has its share; 503 when all are taken.
    pub(crate) fn work(&self, holder: Holder) -> Result<Place> {
        taken(&self.work, holder)
    }

    /// A place for a request that waits.
    ///
    /// # Errors
    /// As [`Self::work`].
    pub(crate) fn waiting(&self, holder: Holder) -> Result<Place> {
        taken(&self.waiting, holder)
    }

    /// A place for a request whose caller is being looked up.
    ///
    /// # Errors
    /// 503: the address that it comes from may be shared by callers who know nothing of each other.
    pub(crate) fn authentication(&self, holder: Holder) -> Result<Place> {
        self.authentication.take(holder).map_err(|_| Problem::Overloaded)
    }
}

fn taken(shares: &Arc<Shares>, holder: Holder) -> Result<Place> {
    shares.take(holder).map_err(|full| match full {
        Full::Share => Problem::ShareTaken,
        Full::All => Problem::Overloaded,
    })
}

/// What `future` ends with. A place is taken for it only when it does not end at once.
///
/// # Errors
/// When there is no place; the future is dropped then.
pub(crate) async fn in_place<F: Future, P>(
    future: F,
    place: impl FnOnce() -> Result<P>,
) -> Result<F::Output> {
    let mut future = pin!(future);
    if let Poll::Ready(output) = poll!(future.as_mut()) {
        return Ok(output);
    }
    let _place = place()?;
    Ok(future.await)
}
