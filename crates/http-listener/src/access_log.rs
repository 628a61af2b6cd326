//! The access log of a listener: one record for each request, whatever the outcome.

use std::{
    sync::Arc,
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
    /// The bytes of the response body that were written to the socket, or to the frame buffer of an
    /// HTTP/2 connection. 0 for HEAD.
    pub bytes: usize,
    /// Whether the connection or the HTTP/2 stream ended before the whole response body was
    /// written. `false` without a response.
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
    length: usize,
    written: usize,
}

impl AccessLogGuard {
    pub(crate) fn open(method: Method, id: RequestId, log: Arc<dyn AccessLog>) -> Self {
        Self { method, id, log, since: Instant::now(), response: None }
    }

    /// Records that a response with a body of `length` bytes is ready.
    pub(crate) fn answered(
        &mut self,
        status: StatusCode,
        length: usize,
        rejection: Option<Rejection>,
    ) {
        let after = self.since.elapsed();
        self.response = Some(ResponseRecord { status, rejection, after, length, written: 0 });
    }

    /// Records that `bytes` of the body are written.
    pub(crate) fn written(&mut self, bytes: usize) {
        self.response.iter_mut().for_each(|response| response.written += bytes);
    }
}

impl Drop for AccessLogGuard {
    fn drop(&mut self) {
        let (response, duration) = (self.response.as_ref(), self.since.elapsed());
        self.log.write(&FinishedRequest {
            method: &self.method,
            id: &self.id,
            status: response.map(|response| response.status),
            bytes: response.map_or(0, |response| response.written),
            aborted: response.is_some_and(|response| response.written < response.length),
            response_time: response.map_or(duration, |response| response.after),
            duration,
            rejection: response.and_then(|response| response.rejection.as_ref()),
        });
    }
}
