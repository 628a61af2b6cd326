//! The steps of every request around its handler: request id, access log, `Host` check, time limit
//! and panics. The permit and the access log record of a request last until the body of its
//! response is written or dropped.
//!
//! A request with an unsafe method runs in a task of its own: a caller that hangs up, or the time
//! limit, ends the wait for the response and never interrupts a write. A request with a safe method
//! (RFC 9110, 9.2.1) runs in the connection's task and ends with its caller. A panic becomes one
//! rejection.
//!
//! Decisions: ADR 0018, ADR 0027, ADR 0040.

use std::{
    any::Any,
    hash::{BuildHasher as _, RandomState},
    panic::AssertUnwindSafe,
    sync::Arc,
};

use bytes::Bytes;
use futures_util::FutureExt;
use hyper::{
    Method, Request, Response, StatusCode, Version,
    body::Incoming,
    header::{self, HeaderValue},
    http::request::Parts,
    upgrade::OnUpgrade,
};
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

use crate::{
    access_log::{AccessLog, AccessLogGuard},
    activity::RequestActivity,
    connections::ConnectionGuard,
    handler::{Handler, RequestContext},
    limits::Limits,
    open_request::OpenRequest,
    raw_error,
    rejection::Rejection,
    request_body::RequestBody,
    request_id::{RequestId, X_REQUEST_ID},
    request_permits::RequestPermits,
    response_body::ResponseBody,
    shared_permits::Permit,
    tracked_body::TrackedBody,
    upgrade,
};

/// Returns 128 bits for a new request id.
type NewIdBits = dyn Fn() -> u128 + Send + Sync;

/// A handler with its limits, ready for [`serve`](crate::serve).
pub struct HttpService<L = ()> {
    handler: Arc<dyn Handler<Log = L>>,
    new_id_bits: Arc<NewIdBits>,
    limits: Arc<Limits>,
    permits: Arc<RequestPermits>,
}

/// The parts of a running server that requests use.
#[derive(Clone, Debug)]
pub(crate) struct ServerHandle {
    pub(crate) stop: Arc<CancellationToken>,
    pub(crate) tasks: TaskTracker,
}

/// The outcome of a request in its handler.
struct Outcome {
    response: Result<Response<ResponseBody>, Rejection>,
    /// Whether the connection can take another request because the body of this one was consumed.
    consumed: bool,
    /// The permit that the handler left to the response.
    permit: Option<Permit>,
}

impl<L: AccessLog> HttpService<L> {
    /// Creates the service of `handler`. Request ids are random.
    pub fn new(handler: Arc<dyn Handler<Log = L>>, limits: Limits) -> Self {
        let permits = RequestPermits::new(&limits);
        Self { handler, new_id_bits: Arc::new(random_bits), limits: Arc::new(limits), permits }
    }

    /// Takes the bits of new request ids from `new_id_bits`. An id is `req_` and the bits as a
    /// ULID.
    #[must_use]
    pub fn with_request_ids(self, new_id_bits: Arc<NewIdBits>) -> Self {
        Self { new_id_bits, ..self }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Returns the response to a request, and whether the body of the request was consumed.
    pub(crate) async fn handle(
        &self,
        request: Request<Incoming>,
        server: &ServerHandle,
        guard: &Arc<ConnectionGuard>,
        activity: RequestActivity,
    ) -> (Response<TrackedBody>, bool) {
        let (mut head, incoming) = request.into_parts();
        let on_upgrade =
            head.extensions.remove::<OnUpgrade>().filter(|_| head.method == Method::GET);
        let id = RequestId::from_headers(&head.headers, &*self.new_id_bits);
        let (method, version) = (head.method.clone(), head.version);
        let (log, connection) = (Arc::new(self.handler.start_log()), activity.connection().clone());
        let mut record = AccessLogGuard::open(method.clone(), id.clone(), log.clone());
        let context = RequestContext {
            body: RequestBody::new(incoming, &head.headers, &self.limits, connection.clone()),
            head,
            log,
            connection,
            permits: self.permits.clone(),
            cancelled: server.stop.clone(),
            permit: None,
            can_upgrade: on_upgrade.is_some(),
        };
        let Outcome { response, consumed, permit } = self.process(context, &id, server).await;
        let rejection = response.as_ref().err().cloned();
        let reject = |rejection| self.handler.reject(&rejection).map(ResponseBody::Whole);
        let response = response.unwrap_or_else(reject);
        let mut response = finished(response, &id, method == Method::HEAD);
        if !consumed && version <= Version::HTTP_11 {
            // Without the header the caller's next request would meet a closed connection (RFC
            // 9112, 9.6).
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        record.answered(response.status(), length(response.body()), rejection);
        let request = OpenRequest::new(permit, activity, record);
        let body = |body| self.track(body, request, on_upgrade, server, guard);
        (response.map(body), consumed)
    }

    /// Returns the body for hyper. Starts the protocol of an upgraded connection, in a task of its
    /// own.
    fn track(
        &self,
        body: ResponseBody,
        mut request: OpenRequest,
        on_upgrade: Option<OnUpgrade>,
        server: &ServerHandle,
        guard: &Arc<ConnectionGuard>,
    ) -> TrackedBody {
        match (body, on_upgrade) {
            (ResponseBody::Whole(bytes), _) => TrackedBody::whole(bytes, request),
            (ResponseBody::Stream(source), _) => {
                TrackedBody::stream(source, request, (*server.stop).clone())
            }
            (ResponseBody::Upgrade(handler), Some(on_upgrade)) => {
                request.activity.stream();
                let (limits, guard) = (self.limits.clone(), guard.clone());
                let stop = (*server.stop).clone();
                let protocol = upgrade::run(on_upgrade, handler, request, guard, limits, stop);
                server.tasks.spawn(protocol);
                TrackedBody::none()
            }
            // hyper answers 500: the request is no upgrade.
            (ResponseBody::Upgrade(_), None) => TrackedBody::whole(Bytes::new(), request),
        }
    }

    async fn process(
        &self,
        mut context: RequestContext<L>,
        id: &RequestId,
        server: &ServerHandle,
    ) -> Outcome {
        if let Some(reason) = host_fault(&context.head) {
            let consumed = context.body.is_consumed().await;
            return Outcome { consumed, ..Outcome::rejected(Rejection::InvalidHost { reason }) };
        }
        let outcome = if is_safe(&context.head.method) {
            let response = AssertUnwindSafe(self.handler.handle(&mut context)).catch_unwind();
            match timeout(self.limits.request_time, response).await {
                Ok(response) => Ok(Outcome::of(response, context).await),
                Err(elapsed) => Err(elapsed),
            }
        } else {
            let cancelled = server.stop.child_token();
            context.cancelled = Arc::new(cancelled.clone());
            // Dropped at the end of the wait, also when the connection drops this future.
            let _cancel_on_drop = cancelled.drop_guard();
            let (handler, span) =
                (self.handler.clone(), tracing::info_span!("request", id = id.as_str()));
            let work = async move {
                let response = AssertUnwindSafe(handler.handle(&mut context)).catch_unwind().await;
                Outcome::of(response, context).await
            };
            let task = server.tasks.spawn(work.instrument(span));
            let outcome = timeout(self.limits.request_time, task).await;
            // A task that neither ended nor panicked was cancelled with its runtime.
            outcome.map(|done| done.unwrap_or_else(|_| Outcome::rejected(Rejection::Aborted)))
        };
        outcome.unwrap_or_else(|_| Outcome::rejected(Rejection::DeadlineExceeded))
    }

    /// Returns the text of the response to a request that hyper could not read.
    pub(crate) fn raw_error(&self, status: StatusCode) -> Vec<u8> {
        let id = RequestId::from_bits((self.new_id_bits)());
        tracing::info!(status = status.as_u16(), request_id = id.as_str(), "unreadable request");
        raw_error::render(self.handler.reject(&Rejection::Unreadable { status }), &id)
    }
}

impl Outcome {
    /// Returns the outcome of a request whose handler has ended. Reads a small unread body, so that
    /// the connection can take another request.
    async fn of<L>(
        response: Result<Response<ResponseBody>, Box<dyn Any + Send>>,
        mut context: RequestContext<L>,
    ) -> Self {
        let consumed = context.body.is_consumed().await;
        Self { response: response.map_err(panicked), consumed, permit: context.permit }
    }

    fn rejected(rejection: Rejection) -> Self {
        Self { response: Err(rejection), consumed: false, permit: None }
    }
}

impl<L> Clone for HttpService<L> {
    fn clone(&self) -> Self {
        Self {
            handler: self.handler.clone(),
            new_id_bits: self.new_id_bits.clone(),
            limits: self.limits.clone(),
            permits: self.permits.clone(),
        }
    }
}

/// Returns the number of bytes of a body; `None` for a stream and for another protocol.
fn length(body: &ResponseBody) -> Option<usize> {
    match body {
        ResponseBody::Whole(bytes) => Some(bytes.len()),
        ResponseBody::Stream(_) | ResponseBody::Upgrade(_) => None,
    }
}

/// Adds the request id. Removes the body from a response to HEAD, which keeps its length.
fn finished(
    mut response: Response<ResponseBody>,
    id: &RequestId,
    head_only: bool,
) -> Response<ResponseBody> {
    if head_only {
        let length = length(response.body());
        *response.body_mut() = ResponseBody::Whole(Bytes::new());
        let has_length =
            !matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        if let Some(length) = length.filter(|_| has_length) {
            response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
        }
    }
    response.headers_mut().insert(X_REQUEST_ID, id.value());
    response
}

/// Returns the fault of the request's `Host` (RFC 9112, 3.2). HTTP/2 names the host in
/// `:authority`.
fn host_fault(head: &Parts) -> Option<&'static str> {
    let mut hosts = head.headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if head.version == Version::HTTP_11 => Some("is required"),
        (None, _) => None,
        (Some(_), Some(_)) => Some("must be given once"),
        (Some(host), None) if host.as_bytes().iter().copied().all(is_host_byte) => None,
        (Some(_), None) => Some("must be a host with an optional port"),
    }
}

/// Returns whether the byte may stand in a registered name, an IP address or a port (RFC 3986,
/// 3.2).
fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(&byte)
}

/// Returns whether the request may be abandoned at any point. Handlers of these methods change
/// nothing, or make one write that is atomic.
fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

#[expect(clippy::needless_pass_by_value, reason = "the signature that `map_err` needs")]
fn panicked(panic: Box<dyn Any + Send>) -> Rejection {
    let message = panic.downcast_ref::<&str>().copied();
    let message = message.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Rejection::Panicked { message: message.unwrap_or("without message").to_owned() }
}

fn random_bits() -> u128 {
    // Every `RandomState` has random keys of its own.
    let half = || u128::from(RandomState::new().hash_one(()));
    half() << 64 | half()
}
