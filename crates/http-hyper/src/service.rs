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
    activity::Activity,
    limits::Limits,
    payload::Payload,
    places::Places,
    problem::{Problem, Result},
    record::{Notes, Record},
    reply::{ON_EVERY_ANSWER, Reply},
    request_id::{RequestId, X_REQUEST_ID},
    tally::Tally,
};

/// What a listener answers, and how it words what goes wrong.
#[async_trait]
pub(crate) trait Site: Send + Sync + 'static {
    async fn answer(&self, visit: &mut Visit) -> Result<Reply>;

    /// As this site's callers expect it.
    fn word(&self, problem: &Problem) -> Reply {
        problem.reply()
    }
}

/// A request on its way through a site.
pub(crate) struct Visit {
    pub(crate) head: Parts,
    pub(crate) payload: Payload,
    pub(crate) notes: Arc<Notes>,
    /// What its connection is up to.
    pub(crate) activity: Activity,
    pub(crate) places: Arc<Places>,
    /// Ends when the service stops, or nobody waits any more for an answer that is made all the same.
    pub(crate) waiting: Arc<CancellationToken>,
}

impl Visit {
    /// Takes the head, for whoever needs it whole.
    pub(crate) fn take_head(&mut self) -> Parts {
        let mut empty = Request::new(()).into_parts().0;
        std::mem::swap(&mut empty, &mut self.head);
        empty
    }
}

/// What listens: a site and its limits. [`serve`](crate::serve) opens it.
#[derive(Clone)]
pub struct Door {
    site: Arc<dyn Site>,
    environment: Arc<dyn Environment>,
    limits: Arc<Limits>,
    places: Arc<Places>,
    tally: Arc<Tally>,
}

/// What of a running server a request touches.
#[derive(Clone, Debug)]
pub(crate) struct House {
    pub(crate) stop: Arc<CancellationToken>,
    pub(crate) tasks: TaskTracker,
}

impl Door {
    pub(crate) fn new(
        site: Arc<dyn Site>,
        environment: Arc<dyn Environment>,
        limits: Limits,
    ) -> Self {
        let places = Places::new(&limits);
        Self { site, environment, limits: Arc::new(limits), places, tally: Arc::default() }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Answers one request. Also says whether its body was read to the end.
    pub(crate) async fn answer(
        &self,
        request: Request<Incoming>,
        house: &House,
        activity: &Activity,
    ) -> (Response<Bytes>, bool) {
        let (head, incoming) = request.into_parts();
        let id = RequestId::of(&head.headers, &*self.environment);
        let (head_only, version) = (head.method == Method::HEAD, head.version);
        let notes = Arc::new(Notes::default());
        let record = Record::open(&head.method, &id, notes.clone(), &self.tally);
        let visit = Visit {
            payload: Payload::new(incoming, &head.headers, &self.limits, activity.clone()),
            head,
            notes,
            activity: activity.clone(),
            places: self.places.clone(),
            waiting: house.stop.clone(),
        };
        let (outcome, spent) = self.visit(visit, &id, house).await;
        let reply = match outcome {
            Ok(reply) => {
                record.close(&reply, None);
                reply
            }
            Err(problem) => {
                let reply = self.site.word(&problem);
                record.close(&reply, Some(&problem));
                reply
            }
        };
        let mut response = reply.respond(&id, head_only);
        if !spent && version <= Version::HTTP_11 {
            // Said, or the caller's next request would meet a closed connection (RFC 9112, 9.6).
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        (response, spent)
    }

    async fn visit(
        &self,
        mut visit: Visit,
        id: &RequestId,
        house: &House,
    ) -> (Result<Reply>, bool) {
        if let Some(reason) = fault_of_host(&visit.head) {
            return (Err(Problem::invalid("Host", reason)), visit.payload.is_spent().await);
        }
        let outcome = if is_safe(&visit.head.method) {
            let answer = AssertUnwindSafe(self.site.answer(&mut visit)).catch_unwind();
            match timeout(self.limits.request_time, answer).await {
                Ok(answer) => Ok((answer.unwrap_or_else(panicked), visit.payload.is_spent().await)),
                Err(late) => Err(late),
            }
        } else {
            let waiting = house.stop.child_token();
            visit.waiting = Arc::new(waiting.clone());
            // Dropped with this wait, whatever ends it.
            let _waiting = waiting.drop_guard();
            let (site, span) =
                (self.site.clone(), tracing::info_span!("request", id = id.as_str()));
            let work = async move {
                let answer = AssertUnwindSafe(site.answer(&mut visit)).catch_unwind().await;
                (answer.unwrap_or_else(panicked), visit.payload.is_spent().await)
            };
            let task = house.tasks.spawn(work.instrument(span));
            let answer = timeout(self.limits.request_time, task).await;
            // A task that neither ended nor panicked was cut off with its runtime.
            answer.map(|answer| answer.unwrap_or((Err(Problem::Overloaded), false)))
        };
        outcome.unwrap_or((Err(Problem::DeadlineExceeded), false))
    }

    /// The whole text of an answer to what hyper could not read as a request.
    pub(crate) fn apology(&self, status: StatusCode) -> Vec<u8> {
        let id = RequestId::from_bits(&*self.environment);
        tracing::info!(status = status.as_u16(), request_id = id.as_str(), "unreadable request");
        let reply = self.site.word(&Problem::Unreadable { status });
        let reason = status.canonical_reason().unwrap_or_default();
        let mut text = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).into_bytes();
        let mut headers: HeaderMap = reply.headers;
        headers.extend(ON_EVERY_ANSWER);
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
fn fault_of_host(head: &Parts) -> Option<&'static str> {
    let mut hosts = head.headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if head.version == Version::HTTP_11 => Some("must be there"),
        (None, _) => None,
        (Some(_), Some(_)) => Some("must be there once"),
        (Some(host), None) if host.as_bytes().iter().copied().all(may_name_host) => None,
        (Some(_), None) => Some("must name a host and nothing else"),
    }
}

/// A byte of a registered name, an IP address or a port (RFC 3986, 3.2).
fn may_name_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(&byte)
}

/// It can be abandoned half-way: it changes nothing, or writes one wish (for a QR code) that is written
/// whole or not at all.
fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

#[expect(clippy::needless_pass_by_value, reason = "so that it fits where a panic is caught")]
fn panicked(panic: Box<dyn Any + Send>) -> Result<Reply> {
    Err(Problem::Panicked(words_of(&*panic).into()))
}

fn words_of(panic: &(dyn Any + Send)) -> String {
    let words = panic.downcast_ref::<&str>().copied();
    let words = words.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panic: {}", words.unwrap_or("without words"))
}
