//! The interface between the listener and its user: the handler of requests.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use hyper::{Request, Response, StatusCode, http::request::Parts};
use tokio_util::sync::CancellationToken;

use crate::{
    access_log::AccessLog, activity::ConnectionActivity, request_body::RequestBody,
    request_permits::RequestPermits,
};

/// Answers the requests of a listener.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// The access log record of one request; `()` for no access log.
    type Log: AccessLog;

    /// Returns a new record, at the start of a request.
    fn start_log(&self) -> Self::Log;

    /// Returns the response to a request. The listener adds `X-Request-Id`, and removes the body of
    /// a response to HEAD. A request with a safe method is dropped when its caller hangs up; every
    /// other request runs to its end.
    async fn handle(&self, request: &mut RequestContext<Self::Log>) -> Response<Bytes>;

    /// Returns the response to a request that the listener rejects.
    fn reject(&self, rejection: &Rejection) -> Response<Bytes>;
}

/// A request on its way through a handler.
#[derive(Debug)]
pub struct RequestContext<L = ()> {
    /// Method, target and headers.
    pub head: Parts,
    /// The body, not read yet.
    pub body: RequestBody,
    /// The access log record of the request.
    pub log: Arc<L>,
    /// The connection of the request.
    pub connection: ConnectionActivity,
    /// The permits of the listener.
    pub permits: Arc<RequestPermits>,
    /// Cancelled when the listener stops, or when the caller of an unsafe method no longer waits
    /// for the response. Long polls end then.
    pub cancelled: Arc<CancellationToken>,
}

/// The reason why the listener answers a request without its handler, or in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// The request has no valid `Host` (RFC 9112, 3.2).
    InvalidHost {
        /// The requirement that the header does not meet.
        reason: &'static str,
    },
    /// hyper could not read the request line or the headers, and answers with this status.
    Unreadable {
        /// A status of class 4xx.
        status: StatusCode,
    },
    /// The request took longer than [`Limits::request_time`](crate::Limits).
    DeadlineExceeded,
    /// The task of the request was cancelled with its runtime.
    Aborted,
    /// The handler panicked.
    Panicked {
        /// The message of the panic.
        message: String,
    },
}

impl<L> RequestContext<L> {
    /// Takes the head out of the request and leaves an empty one.
    pub fn take_head(&mut self) -> Parts {
        let mut empty = Request::new(()).into_parts().0;
        std::mem::swap(&mut empty, &mut self.head);
        empty
    }
}

impl Rejection {
    /// Returns the usual status of a response to the rejection.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::InvalidHost { .. } => StatusCode::BAD_REQUEST,
            Self::Unreadable { status } => *status,
            Self::DeadlineExceeded | Self::Aborted => StatusCode::SERVICE_UNAVAILABLE,
            Self::Panicked { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}
