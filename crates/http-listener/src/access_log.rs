//! The access log of a listener: one record for each request, whatever the outcome.

use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::{Method, Response, StatusCode};

use crate::{rejection::Rejection, request_id::RequestId};

/// Collects the facts of one request and writes them at the end.
pub trait AccessLog: Send + Sync + 'static {
    /// Writes the record. Called exactly once for each request: when the response is ready, or when
    /// the caller hung up before.
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
    /// The size of the response body, also for HEAD.
    pub bytes: usize,
    /// The time from the head of the request to the response.
    pub duration: Duration,
    /// The rejection, when the listener rejected the request.
    pub rejection: Option<&'a Rejection>,
}

/// Writes no access log.
impl AccessLog for () {
    fn write(&self, _: &FinishedRequest<'_>) {}
}

/// Writes the record of a request when closed, or when dropped before.
pub(crate) struct AccessLogGuard<'a, L: AccessLog> {
    method: &'a Method,
    id: &'a RequestId,
    log: &'a L,
    since: Instant,
    closed: bool,
}

impl<'a, L: AccessLog> AccessLogGuard<'a, L> {
    pub(crate) fn open(method: &'a Method, id: &'a RequestId, log: &'a L) -> Self {
        Self { method, id, log, since: Instant::now(), closed: false }
    }

    /// Writes the record of a request that ended with `response`.
    pub(crate) fn close(mut self, response: &Response<Bytes>, rejection: Option<&Rejection>) {
        self.closed = true;
        self.write(Some(response.status()), response.body().len(), rejection);
    }

    fn write(&self, status: Option<StatusCode>, bytes: usize, rejection: Option<&Rejection>) {
        let Self { method, id, since, .. } = *self;
        let duration = since.elapsed();
        self.log.write(&FinishedRequest { method, id, status, bytes, duration, rejection });
    }
}

impl<L: AccessLog> Drop for AccessLogGuard<'_, L> {
    fn drop(&mut self) {
        if !self.closed {
            self.write(None, 0, None);
        }
    }
}
