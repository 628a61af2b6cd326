//! The access log of a listener: one record for each request, whatever the outcome.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use hyper::{Method, StatusCode};

use crate::{rejection::Rejection, request_id::RequestId};

/// Collects the facts of one request and writes them at the end.
pub trait AccessLog: Send + Sync + 'static {
    /// Writes the record. Called exactly once for each request: when the body of the response is
    /// written or dropped, or when the caller hung up before the response was ready.
    fn write(&self, request: &FinishedRequest<'_>);
}

/// A request at its end, as the listener knows it.
#[derive(Debug)]
pub struct FinishedRequest<'a> {
    /// The method of the request.
    pub method: &'a Method,
    /// The id of the request.
    pub id: &'a RequestId,
    /// The status of the response; `None` when the caller hung up before the response was ready.
    pub status: Option<StatusCode>,
    /// The bytes of the response body, or of the protocol after an upgrade, that were written to
    /// the socket, or to the frame buffer of an HTTP/2 connection. 0 for HEAD.
    pub bytes: usize,
    /// Whether the connection or the HTTP/2 stream ended before the whole response body was
    /// written, or before the source of a stream or the protocol after an upgrade ended. `false`
    /// without a response.
    pub aborted: bool,
    /// The time from the head of the request to the response, or to the end without one.
    pub response_time: Duration,
    /// The time from the head of the request to the end of the response body.
    pub duration: Duration,
    /// The rejection, when the listener rejected the request.
    pub rejection: Option<&'a Rejection>,
}

/// Writes no access log.
impl AccessLog for () {
    fn write(&self, _: &FinishedRequest<'_>) {}
}

/// Writes the record of a request when dropped.
pub(crate) struct AccessLogGuard {
    method: Method,
    id: RequestId,
    log: Arc<dyn AccessLog>,
    since: Instant,
    response: Option<ResponseRecord>,
}

/// The facts of a response.
struct ResponseRecord {
    status: StatusCode,
    rejection: Option<Rejection>,
    after: Duration,
    /// The bytes of the body, and how many of them are written.
    length: AtomicUsize,
    written: AtomicUsize,
    /// Whether `length` no longer increases.
    complete: AtomicBool,
}

impl ResponseRecord {
    fn is_aborted(&self) -> bool {
        !self.complete.load(Relaxed) || self.written.load(Relaxed) < self.length.load(Relaxed)
    }
}

impl AccessLogGuard {
    pub(crate) fn open(method: Method, id: RequestId, log: Arc<dyn AccessLog>) -> Self {
        Self { method, id, log, since: Instant::now(), response: None }
    }

    /// Records that a response with a body of `length` bytes is ready; `None` for a stream, and for
    /// an upgrade.
    pub(crate) fn answered(
        &mut self,
        status: StatusCode,
        length: Option<usize>,
        rejection: Option<Rejection>,
    ) {
        self.response = Some(ResponseRecord {
            status,
            rejection,
            after: self.since.elapsed(),
            length: AtomicUsize::new(length.unwrap_or(0)),
            written: AtomicUsize::new(0),
            complete: AtomicBool::new(length.is_some()),
        });
    }

    /// Records that the body of a stream has `bytes` more.
    pub(crate) fn queued(&self, bytes: usize) {
        if let Some(response) = &self.response {
            response.length.fetch_add(bytes, Relaxed);
        }
    }

    /// Records that the body of a stream has no further bytes.
    pub(crate) fn end_of_source(&self) {
        if let Some(response) = &self.response {
            response.complete.store(true, Relaxed);
        }
    }

    /// Records that `bytes` of the body are written.
    pub(crate) fn written(&self, bytes: usize) {
        if let Some(response) = &self.response {
            response.written.fetch_add(bytes, Relaxed);
        }
    }
}

impl Drop for AccessLogGuard {
    fn drop(&mut self) {
        let (response, duration) = (self.response.as_ref(), self.since.elapsed());
        self.log.write(&FinishedRequest {
            method: &self.method,
            id: &self.id,
            status: response.map(|response| response.status),
            bytes: response.map_or(0, |response| response.written.load(Relaxed)),
            aborted: response.is_some_and(ResponseRecord::is_aborted),
            response_time: response.map_or(duration, |response| response.after),
            duration,
            rejection: response.and_then(|response| response.rejection.as_ref()),
        });
    }
}
