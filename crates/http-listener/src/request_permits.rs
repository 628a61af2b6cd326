//! The permits of requests: to work, to wait, to authenticate, and to stream. Each kind is shared
//! separately, so that waiting requests and streams take no permits from requests at work.
//!
//! Decision: ADR 0027.

use std::{pin::pin, sync::Arc, task::Poll};

use futures_util::poll;

use crate::{
    limits::Limits,
    shared_permits::{NoPermit, Permit, PermitHolder, ShareLimits, SharedPermits},
};

/// The permits of the requests of one listener.
#[derive(Debug)]
pub struct RequestPermits {
    authentication: Arc<SharedPermits>,
    work: Arc<SharedPermits>,
    waiting: Arc<SharedPermits>,
    streams: Arc<SharedPermits>,
}

impl RequestPermits {
    pub(crate) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            authentication: SharedPermits::new(limits.requests, ShareLimits::NONE),
            work: SharedPermits::new(limits.requests, ShareLimits::NONE),
            waiting: SharedPermits::new(limits.waiting, ShareLimits::NONE),
            streams: SharedPermits::new(
                limits.streams,
                ShareLimits { group: limits.streams_per_group, member: limits.streams_per_member },
            ),
        })
    }

    /// Takes a permit for a request at work. [`RequestContext::hold`](crate::RequestContext::hold)
    /// keeps the permit until the response is written.
    ///
    /// # Errors
    /// All permits are taken, or the holder or its group has its share.
    pub fn work(&self, holder: PermitHolder) -> Result<Permit, NoPermit> {
        self.work.take(holder)
    }

    /// Takes a permit for a request that waits for the rest of its body, or that is a long poll.
    ///
    /// # Errors
    /// As [`Self::work`].
    pub fn waiting(&self, holder: PermitHolder) -> Result<Permit, NoPermit> {
        self.waiting.take(holder)
    }

    /// Takes a permit for a response that is a stream, or for an upgraded connection. The permit
    /// takes the place of the permit that the request held before:
    /// [`RequestContext::hold`](crate::RequestContext::hold).
    ///
    /// # Errors
    /// As [`Self::work`], or the holder or its group has [`Limits::streams_per_member`] or
    /// [`Limits::streams_per_group`] streams.
    pub fn stream(&self, holder: PermitHolder) -> Result<Permit, NoPermit> {
        self.streams.take(holder)
    }

    /// Takes a permit for a request whose caller is being authenticated. The holder is the
    /// connection.
    ///
    /// # Errors
    /// Always [`NoPermit::AllTaken`]: unrelated callers may share the address whose share is taken.
    pub fn authentication(&self, holder: PermitHolder) -> Result<Permit, NoPermit> {
        self.authentication.take(holder).map_err(|_| NoPermit::AllTaken)
    }
}

/// Waits for `future`. Takes a permit only if the future is not ready at the first poll, and holds
/// the permit until the future ends.
///
/// # Errors
/// The error of `permit`; the future is then dropped.
pub async fn with_permit_if_pending<F: Future, P, E>(
    future: F,
    permit: impl FnOnce() -> Result<P, E>,
) -> Result<F::Output, E> {
    let mut future = pin!(future);
    if let Poll::Ready(output) = poll!(future.as_mut()) {
        return Ok(output);
    }
    let _permit = permit()?;
    Ok(future.await)
}
