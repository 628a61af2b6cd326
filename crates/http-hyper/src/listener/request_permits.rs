//! The places of requests: of those that are worked on, those that wait, and those whose caller is not
//! known yet. Each kind is shared by itself, so that waiting takes nothing from work (ADR 0027).

use std::{pin::pin, sync::Arc, task::Poll};

use futures_util::poll;

use crate::{
    listener::limits::Limits,
    listener::shared_permits::{NoPermit, Permit, PermitHolder, SharedPermits},
    response::problem::{Problem, Result},
};

/// The places of one listener.
#[derive(Debug)]
pub(crate) struct RequestPermits {
    /// Shared by the addresses that requests come from.
    authentication: Arc<SharedPermits>,
    /// Shared by organizations and their credentials.
    work: Arc<SharedPermits>,
    /// The same, for bodies that are on their way and for long polls.
    waiting: Arc<SharedPermits>,
}

impl RequestPermits {
    pub(crate) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            authentication: SharedPermits::new(limits.requests),
            work: SharedPermits::new(limits.requests),
            waiting: SharedPermits::new(limits.waiting),
        })
    }

    /// A place for a request that is worked on.
    ///
    /// # Errors
    /// 429 when its caller, or the caller's organization, has its share; 503 when all are taken.
    pub(crate) fn work(&self, holder: PermitHolder) -> Result<Permit> {
        take(&self.work, holder)
    }

    /// A place for a request that waits.
    ///
    /// # Errors
    /// As [`Self::work`].
    pub(crate) fn waiting(&self, holder: PermitHolder) -> Result<Permit> {
        take(&self.waiting, holder)
    }

    /// A place for a request whose caller is being looked up.
    ///
    /// # Errors
    /// 503: the address that it comes from may be shared by callers who know nothing of each other.
    pub(crate) fn authentication(&self, holder: PermitHolder) -> Result<Permit> {
        self.authentication.take(holder).map_err(|_| Problem::Overloaded)
    }
}

fn take(pool: &Arc<SharedPermits>, holder: PermitHolder) -> Result<Permit> {
    pool.take(holder).map_err(|full| match full {
        NoPermit::Share => Problem::PermitShareTaken,
        NoPermit::All => Problem::Overloaded,
    })
}

/// What `future` ends with. A place is taken for it only when it does not end at once.
///
/// # Errors
/// When there is no place; the future is dropped then.
pub(crate) async fn with_permit_if_pending<F: Future, P>(
    future: F,
    permit: impl FnOnce() -> Result<P>,
) -> Result<F::Output> {
    let mut future = pin!(future);
    if let Poll::Ready(output) = poll!(future.as_mut()) {
        return Ok(output);
    }
    let _place = permit()?;
    Ok(future.await)
}
