//! The request as the handler of an operation gets it: admitted, with its caller and its input.

use std::sync::Arc;

use domain::{AcceptanceKey, BrowserSession, Caller, Error, RecordResponse};
use http_listener::{ConnectionActivity, Permit, PermitHolder, RequestPermits};
use hyper::HeaderMap;
use tokio_util::sync::CancellationToken;

use super::input::Input;
use crate::{
    idempotency::{IdempotentRequest, ResponseRecorder},
    request::{conditions::IfMatch, cursor::ListIdentity},
    resources::Resources,
    response::{
        problem::{Problem, Result},
        reply::Reply,
    },
    routes::PathParameters,
    streams::ticket::Ticket,
};

/// A caller that may use an operation. All fields are `None` for an operation that requires
/// nothing.
#[derive(Default)]
pub(super) struct AuthorizedCaller {
    pub(super) caller: Option<Caller>,
    /// The holder of the permits of the request.
    pub(super) holder: Option<PermitHolder>,
    /// The ticket of an operation that [requires](super::Requires::Ticket) one.
    pub(super) ticket: Option<Ticket>,
    /// The session of an operation that [requires](super::Requires::BrowserSession) one.
    pub(super) browser_session: Option<BrowserSession>,
}

/// One admitted request.
pub(crate) struct OperationContext {
    pub(crate) resources: Arc<Resources>,
    pub(crate) headers: HeaderMap,
    /// For handlers that cannot find every fault within [`Self::read`].
    pub(crate) input: Input,
    pub(super) authorized: AuthorizedCaller,
    pub(super) path: PathParameters,
    /// `Some` for a request with an `Idempotency-Key`.
    pub(super) idempotent_request: Option<Arc<IdempotentRequest>>,
    /// Cancelled when the caller no longer waits, or when the service stops.
    pub(crate) cancelled: Arc<CancellationToken>,
    pub(crate) connection: ConnectionActivity,
    /// Whether the response may give the connection to another protocol.
    pub(crate) can_upgrade: bool,
    pub(super) permits: Arc<RequestPermits>,
}

impl OperationContext {
    /// Returns the recorder of the response that `show` renders of a changed object; `None` for a
    /// request without an `Idempotency-Key`.
    pub(crate) fn recorder<'a, T>(
        &'a self,
        show: impl Fn(&T) -> Result<Reply> + Send + Sync + 'a,
    ) -> Option<Box<dyn RecordResponse<T> + 'a>> {
        let request = self.idempotent_request.as_deref()?;
        Some(Box::new(ResponseRecorder::new(request, show)))
    }

    /// Returns the fingerprint of a request with an `Idempotency-Key`, for a use case that stores
    /// it with its change.
    pub(crate) fn acceptance_key(&self) -> Option<AcceptanceKey> {
        self.idempotent_request.as_deref().map(IdempotentRequest::acceptance_key)
    }

    /// Returns the caller.
    ///
    /// # Errors
    /// The operation requires no permission, so that the caller is unknown.
    pub(crate) fn caller(&self) -> Result<&Caller> {
        self.authorized.caller.as_ref().ok_or(Problem::Domain(Error::Unauthorized))
    }

    /// Returns the identity of the caller's list `name`, without filters.
    ///
    /// # Errors
    /// As [`Self::caller`].
    pub(crate) fn list(&self, name: &str) -> Result<ListIdentity> {
        Ok(self.resources.cursor_signer.list(name, self.caller()?.organization.as_ref()))
    }

    /// Returns the ticket of a request that [requires](super::Requires::Ticket) one.
    ///
    /// # Errors
    /// The operation requires no ticket.
    pub(crate) fn ticket(&self) -> Result<&Ticket> {
        self.authorized.ticket.as_ref().ok_or(Problem::Domain(Error::Unauthorized))
    }

    /// Returns the browser session of a request that [requires](super::Requires::BrowserSession) one.
    ///
    /// # Errors
    /// The operation requires no browser session.
    pub(crate) fn browser_session(&self) -> Result<&BrowserSession> {
        self.authorized.browser_session.as_ref().ok_or(Problem::Domain(Error::Unauthorized))
    }

    /// Takes a permit for a stream.
    ///
    /// # Errors
    /// 429: the credential, the organization or the router has its maximum number of streams.
    pub(crate) fn stream_permit(&self) -> Result<Permit> {
        let holder = self.authorized.holder.ok_or(Problem::Domain(Error::Unauthorized))?;
        self.permits.stream(holder).map_err(|_| Problem::TooManyStreams)
    }

    /// Returns a path parameter.
    pub(crate) fn path(&self, name: &str) -> &str {
        self.path.get(name)
    }

    /// Takes values out of query and body.
    ///
    /// # Errors
    /// Every fault of query and body, unknown parameters and fields included.
    pub(crate) fn read<T>(&mut self, take: impl FnOnce(&mut Input) -> T) -> Result<T> {
        let taken = take(&mut self.input);
        self.input.finish()?;
        Ok(taken)
    }

    /// Returns the condition of `If-Match`.
    pub(crate) fn if_match(&self) -> &IfMatch {
        &self.input.if_match
    }

    /// Waits for `future` until the caller hangs up or the service stops. A change that was
    /// committed before the wait remains.
    ///
    /// # Errors
    /// The wait was cut short.
    pub(crate) fn wait<'a, T: 'a>(
        &'a self,
        future: impl Future<Output = domain::Result<T>> + Send + 'a,
    ) -> impl Future<Output = Result<T>> + Send + 'a {
        // On the heap, because the block would hold the future twice.
        let mut future = Box::pin(future);
        async move {
            tokio::select! {
                biased;
                outcome = &mut future => Ok(outcome?),
                () = self.cancelled.cancelled() => {
                    Err(Error::unavailable("the service is stopping, or the caller hung up").into())
                }
            }
        }
    }
}
