//! What happens to every request on every listener, around whatever the listener's site answers.
//!
//! The work of a request that may change something is a task of its own: a caller that hangs up, or a
//! deadline, abandons the wait and never a half-done write. What only looks (RFC 9110, 9.2.1) is done
//! where it was read, and given up with its caller. A panic in either is one 500.
//!
//! Decision: ADR 0018.

use std::{any::Any, panic::AssertUnwindSafe, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use domain::ports::Environment;
use futures_util::FutureExt;
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, Version,
    body::Incoming,
    header::{self, HeaderValue},
    http::request::Parts,
};
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

use crate::{
    listener::activity::ConnectionActivity,
    listener::limits::Limits,
    listener::request_body::RequestBody,
    listener::request_id::{RequestId, X_REQUEST_ID},
    listener::request_permits::RequestPermits,
    request_log::{AccessLogGuard, RequestLog},
    request_metrics::RequestMetrics,
    response::problem::{Problem, Result},
    response::reply::{DEFAULT_HEADERS, Reply},
};

/// What a listener answers, and how it words what goes wrong.
#[async_trait]
pub(crate) trait Handler: Send + Sync + 'static {
    async fn handle(&self, request: &mut RequestContext) -> Result<Reply>;

    /// As this site's callers expect it.
    fn render_problem(&self, problem: &Problem) -> Reply {
        problem.reply()
    }
}

/// A request on its way through a site.
pub(crate) struct RequestContext {
    pub(crate) head: Parts,
    pub(crate) body: RequestBody,
    pub(crate) log: Arc<RequestLog>,
    /// What its connection is up to.
    pub(crate) activity: ConnectionActivity,
    pub(crate) permits: Arc<RequestPermits>,
    /// Ends when the service stops, or nobody waits any more for an answer that is made all the same.
    pub(crate) cancelled: Arc<CancellationToken>,
}

impl RequestContext {
    /// Takes the head, for whoever needs it whole.
    pub(crate) fn take_head(&mut self) -> Parts {
        let mut empty = Request::new(()).into_parts().0;
        std::mem::swap(&mut empty, &mut self.head);
        empty
    }
}

/// What listens: a site and its limits. [`serve`](crate::serve) opens it.
#[derive(Clone)]
pub struct HttpService {
    handler: Arc<dyn Handler>,
    environment: Arc<dyn Environment>,
    limits: Arc<Limits>,
    permits: Arc<RequestPermits>,
    metrics: Arc<RequestMetrics>,
}

/// What of a running server a request touches.
#[derive(Clone, Debug)]
pub(crate) struct ServerHandle {
    pub(crate) stop: Arc<CancellationToken>,
    pub(crate) tasks: TaskTracker,
}

impl HttpService {
    pub(crate) fn new(
        handler: Arc<dyn Handler>,
        environment: Arc<dyn Environment>,
        limits: Limits,
    ) -> Self {
        let permits = RequestPermits::new(&limits);
        Self { handler, environment, limits: Arc::new(limits), permits, metrics: Arc::default() }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Answers one request. Also says whether its body was read to the end.
    pub(crate) async fn handle(
        &self,
        request: Request<Incoming>,
        server: &ServerHandle,
        activity: &ConnectionActivity,
    ) -> (Response<Bytes>, bool) {
        let (head, incoming) = request.into_parts();
        let id = RequestId::from_headers(&head.headers, &*self.environment);
        let (head_only, version) = (head.method == Method::HEAD, head.version);
        let log = Arc::new(RequestLog::default());
        let guard = AccessLogGuard::open(&head.method, &id, log.clone(), &self.metrics);
        let context = RequestContext {
            body: RequestBody::new(incoming, &head.headers, &self.limits, activity.clone()),
            head,
            log,
            activity: activity.clone(),
            permits: self.permits.clone(),
            cancelled: server.stop.clone(),
        };
        let (outcome, consumed) = self.process(context, &id, server).await;
        let reply = match outcome {
            Ok(reply) => {
                guard.close(&reply, None);
                reply
            }
            Err(problem) => {
                let reply = self.handler.render_problem(&problem);
                guard.close(&reply, Some(&problem));
                reply
            }
        };
        let mut response = reply.into_response(&id, head_only);
        if !consumed && version <= Version::HTTP_11 {
            // Said, or the caller's next request would meet a closed connection (RFC 9112, 9.6).
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        (response, consumed)
    }

    async fn process(
        &self,
        mut context: RequestContext,
        id: &RequestId,
        server: &ServerHandle,
    ) -> (Result<Reply>, bool) {
        if let Some(reason) = host_fault(&context.head) {
            return (Err(Problem::invalid("Host", reason)), context.body.is_consumed().await);
        }
        let outcome = if is_safe(&context.head.method) {
            let response = AssertUnwindSafe(self.handler.handle(&mut context)).catch_unwind();
            match timeout(self.limits.request_time, response).await {
                Ok(outcome) => {
                    Ok((outcome.unwrap_or_else(panic_problem), context.body.is_consumed().await))
                }
                Err(elapsed) => Err(elapsed),
            }
        } else {
            let cancelled = server.stop.child_token();
            context.cancelled = Arc::new(cancelled.clone());
            // Dropped with this wait, whatever ends it.
            let _cancel_on_drop = cancelled.drop_guard();
            let (handler, span) =
                (self.handler.clone(), tracing::info_span!("request", id = id.as_str()));
            let work = async move {
                let outcome = AssertUnwindSafe(handler.handle(&mut context)).catch_unwind().await;
                (outcome.unwrap_or_else(panic_problem), context.body.is_consumed().await)
            };
            let task = server.tasks.spawn(work.instrument(span));
            let outcome = timeout(self.limits.request_time, task).await;
            // A task that neither ended nor panicked was cut off with its runtime.
            outcome.map(|outcome| outcome.unwrap_or((Err(Problem::Overloaded), false)))
        };
        outcome.unwrap_or((Err(Problem::DeadlineExceeded), false))
    }

    /// The whole text of an answer to what hyper could not read as a request.
    pub(crate) fn raw_error(&self, status: StatusCode) -> Vec<u8> {
        let id = RequestId::generate(&*self.environment);
        tracing::info!(status = status.as_u16(), request_id = id.as_str(), "unreadable request");
        let reply = self.handler.render_problem(&Problem::Unreadable { status });
        let reason = status.canonical_reason().unwrap_or_default();
        let mut text = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).into_bytes();
        let mut headers: HeaderMap = reply.headers;
        headers.extend(DEFAULT_HEADERS);
        headers.insert(X_REQUEST_ID, id.value());
        for (name, value) in &headers {
            text.extend_from_slice(name.as_str().as_bytes());
            text.extend_from_slice(b": ");
            text.extend_from_slice(value.as_bytes());
            text.extend_from_slice(b"\r\n");
        }
        let length = reply.body.len();
        text.extend(format!("connection: close\r\ncontent-length: {length}\r\n\r\n").bytes());
        text.extend_from_slice(&reply.body);
        text
    }
}

/// What is wrong with the request's `Host` (RFC 9112, 3.2); HTTP/2 has another way to say it.
fn host_fault(head: &Parts) -> Option<&'static str> {
    let mut hosts = head.headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if head.version == Version::HTTP_11 => Some("must be there"),
        (None, _) => None,
        (Some(_), Some(_)) => Some("must be there once"),
        (Some(host), None) if host.as_bytes().iter().copied().all(is_host_byte) => None,
        (Some(_), None) => Some("must name a host and nothing else"),
    }
}

/// A byte of a registered name, an IP address or a port (RFC 3986, 3.2).
fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(&byte)
}

/// It can be abandoned half-way: it changes nothing, or writes one wish (for a QR code) that is written
/// whole or not at all.
fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

#[expect(clippy::needless_pass_by_value, reason = "so that it fits where a panic is caught")]
fn panic_problem(panic: Box<dyn Any + Send>) -> Result<Reply> {
    Err(Problem::Panicked(panic_message(&*panic).into()))
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let words = panic.downcast_ref::<&str>().copied();
    let words = words.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panic: {}", words.unwrap_or("without words"))
}
