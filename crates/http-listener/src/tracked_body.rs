//! Response bodies. A request lasts until its body is written or dropped: until then, it holds its
//! permit and its activity, and its access log record is not written.
//!
//! Decisions: ADR 0027, ADR 0028.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use hyper::body::{Body, Frame, SizeHint};

use crate::{access_log::AccessLogGuard, activity::RequestActivity, shared_permits::Permit};
#[cfg(test)]
use {
    crate::{activity::ConnectionActivity, request_id::RequestId},
    hyper::Method,
    std::sync::Arc,
};

/// What a request holds until the body of its response is written or dropped. The fields are
/// dropped in this order, so that the permit is free when the access log record is written.
pub(crate) struct OpenRequest {
    _permit: Option<Permit>,
    activity: RequestActivity,
    log: AccessLogGuard,
}

impl OpenRequest {
    pub(crate) fn new(
        permit: Option<Permit>,
        activity: RequestActivity,
        log: AccessLogGuard,
    ) -> Self {
        Self { _permit: permit, activity, log }
    }
}

/// The body of a response, sent as one frame.
pub(crate) struct TrackedBody(Option<UnwrittenBytes>);

/// Bytes for hyper to write. hyper drops them when they are written or the connection ends.
pub(crate) struct UnwrittenBytes {
    bytes: Bytes,
    request: OpenRequest,
}

impl TrackedBody {
    pub(crate) fn new(bytes: Bytes, mut request: OpenRequest) -> Self {
        request.activity.answered(bytes.len());
        Self(Some(UnwrittenBytes { bytes, request }))
    }
}

#[cfg(test)]
impl TrackedBody {
    /// Returns a body of this many bytes for a new request of a connection.
    pub(crate) fn for_test(bytes: usize, connection: &ConnectionActivity) -> Self {
        let id = RequestId::from_bits(1);
        let log = AccessLogGuard::open(Method::GET, id, Arc::new(()));
        let request = OpenRequest::new(None, connection.begin(), log);
        Self::new(vec![b'x'; bytes].into(), request)
    }
}

impl Body for TrackedBody {
    type Data = UnwrittenBytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<UnwrittenBytes>, Infallible>>> {
        let unwritten = self.0.take().filter(Buf::has_remaining);
        Poll::Ready(unwritten.map(|unwritten| Ok(Frame::data(unwritten))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|unwritten| !unwritten.has_remaining())
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |unwritten| unwritten.remaining() as u64))
    }
}

impl Buf for UnwrittenBytes {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        self.request.activity.written(count);
        self.request.log.written(count);
    }
}

impl Drop for UnwrittenBytes {
    fn drop(&mut self) {
        self.request.activity.abandoned(self.bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_unwritten_until_advanced_or_dropped() {
        let activity = ConnectionActivity::for_test();
        let mut answer = TrackedBody::for_test(10, &activity);
        assert_eq!((activity.unwritten(), answer.size_hint().exact()), (10, Some(10)));
        let mut context = Context::from_waker(std::task::Waker::noop());
        let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut answer).poll_frame(&mut context) else {
            panic!("the answer has a frame");
        };
        assert!(answer.is_end_stream());
        drop(answer);
        let Ok(mut data) = frame.into_data() else { panic!("the frame has data") };
        data.advance(7);
        assert_eq!((activity.unwritten(), data.chunk()), (3, &b"xxx"[..]));
        assert!(activity.has_request());
        drop(data);
        assert_eq!((activity.unwritten(), activity.has_request()), (0, false));
    }

    #[test]
    fn request_without_a_response_body_ends_when_the_body_is_dropped() {
        let activity = ConnectionActivity::for_test();
        let answer = TrackedBody::for_test(0, &activity);
        assert!(answer.is_end_stream() && activity.has_request());
        drop(answer);
        assert!(!activity.has_request());
    }
}
