//! The interface between the listener and its user: the handler of requests.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use hyper::{Request, Response, http::request::Parts};
use tokio_util::sync::CancellationToken;

use crate::{
    access_log::AccessLog, activity::ConnectionActivity, rejection::Rejection,
    request_body::RequestBody, request_permits::RequestPermits, response_body::ResponseBody,
    shared_permits::Permit,
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
    async fn handle(&self, request: &mut RequestContext<Self::Log>) -> Response<ResponseBody>;

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
    /// The permit that the request holds, also while its response is written.
    pub(crate) permit: Option<Permit>,
    pub(crate) can_upgrade: bool,
}

impl<L> RequestContext<L> {
    /// Keeps a permit until the body of the response is written or dropped, or until the next call
    /// replaces the permit.
    pub fn hold(&mut self, permit: Permit) {
        self.permit = Some(permit);
    }

    /// Releases the permit of the request.
    pub fn release(&mut self) {
        self.permit = None;
    }

    /// Returns whether the response may give the connection to another protocol: a GET request over
    /// HTTP/1.1 with the header `Upgrade`.
    pub fn can_upgrade(&self) -> bool {
        self.can_upgrade
    }

    /// Takes the head out of the request and leaves an empty one.
    pub fn take_head(&mut self) -> Parts {
        let mut empty = Request::new(()).into_parts().0;
        std::mem::swap(&mut empty, &mut self.head);
        empty
    }
}
