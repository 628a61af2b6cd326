//! Response bodies. A request lasts until its body is written or dropped: until then, it holds its
//! permit and its activity, and its access log record is not written.
//!
//! Decisions: ADR 0027, ADR 0028.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use hyper::body::{Body, Frame, SizeHint};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::{open_request::OpenRequest, response_body::BodyStream};
#[cfg(test)]
use {
    crate::{access_log::AccessLogGuard, activity::ConnectionActivity, request_id::RequestId},
    hyper::Method,
};

/// The body of a response.
#[expect(clippy::large_enum_variant, reason = "the usual body needs no allocation")]
pub(crate) enum TrackedBody {
    /// Sent as one frame; `None` when hyper has the frame, and without a body.
    Whole(Option<UnwrittenBytes>),
    Stream(Box<StreamBody>),
}

/// A body whose parts come from a source. The source is polled only while hyper accepts bytes.
pub(crate) struct StreamBody {
    /// `None` after the end of the source or the stop of the listener.
    source: Option<BodyStream>,
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
    request: Arc<OpenRequest>,
}

/// Bytes for hyper to write. hyper drops them when they are written or the connection ends.
pub(crate) struct UnwrittenBytes {
    bytes: Bytes,
    owner: BytesOwner,
}

/// The request that bytes belong to.
enum BytesOwner {
    /// The request ends with the bytes.
    Whole(OpenRequest),
    /// The bytes are a part of a stream.
    Stream(Arc<OpenRequest>),
}

impl TrackedBody {
    pub(crate) fn whole(bytes: Bytes, mut request: OpenRequest) -> Self {
        request.activity.answered(bytes.len());
        Self::Whole(Some(UnwrittenBytes { bytes, owner: BytesOwner::Whole(request) }))
    }

    /// Returns a body that ends with its source, or when the listener stops.
    pub(crate) fn stream(
        source: BodyStream,
        mut request: OpenRequest,
        stop: CancellationToken,
    ) -> Self {
        request.activity.stream();
        let (stopped, request) = (Box::pin(stop.cancelled_owned()), Arc::new(request));
        Self::Stream(Box::new(StreamBody { source: Some(source), stopped, request }))
    }

    /// Returns no body, for a request that lasts longer than its response.
    pub(crate) fn none() -> Self {
        Self::Whole(None)
    }
}

impl StreamBody {
    fn poll_part(&mut self, context: &mut Context<'_>) -> Poll<Option<UnwrittenBytes>> {
        let Some(source) = &mut self.source else { return Poll::Ready(None) };
        let part = match self.stopped.as_mut().poll(context) {
            Poll::Ready(()) => None,
            Poll::Pending => ready!(source.as_mut().poll_next(context)),
        };
        if let Some(bytes) = part {
            self.request.activity.stream_queued(bytes.len());
            self.request.log.queued(bytes.len());
            let owner = BytesOwner::Stream(self.request.clone());
            return Poll::Ready(Some(UnwrittenBytes { bytes, owner }));
        }
        self.source = None;
        self.request.log.end_of_source();
        Poll::Ready(None)
    }
}

#[cfg(test)]
impl TrackedBody {
    /// Returns a body of this many bytes for a new request of a connection.
    pub(crate) fn for_test(bytes: usize, connection: &ConnectionActivity) -> Self {
        let id = RequestId::from_bits(1);
        let log = AccessLogGuard::open(Method::GET, id, Arc::new(()));
        let request = OpenRequest::new(None, connection.begin(), log);
        Self::whole(vec![b'x'; bytes].into(), request)
    }

    /// Returns an endless stream for a new request of a connection.
    pub(crate) fn stream_for_test(connection: &ConnectionActivity) -> Self {
        let id = RequestId::from_bits(1);
        let mut log = AccessLogGuard::open(Method::GET, id, Arc::new(()));
        log.answered(hyper::StatusCode::OK, None, None);
        let request = OpenRequest::new(None, connection.begin(), log);
        let source = futures_util::stream::repeat(Bytes::from_static(b"part"));
        Self::stream(Box::pin(source), request, CancellationToken::new())
    }
}

impl Body for TrackedBody {
    type Data = UnwrittenBytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<UnwrittenBytes>, Infallible>>> {
        let unwritten = match &mut *self {
            Self::Whole(unwritten) => unwritten.take().filter(Buf::has_remaining),
            Self::Stream(stream) => ready!(stream.poll_part(context)),
        };
        Poll::Ready(unwritten.map(|unwritten| Ok(Frame::data(unwritten))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(unwritten) => !unwritten.as_ref().is_some_and(Buf::has_remaining),
            Self::Stream(stream) => stream.source.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(unwritten) => {
                SizeHint::with_exact(unwritten.as_ref().map_or(0, Buf::remaining) as u64)
            }
            Self::Stream(_) => SizeHint::new(),
        }
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
        match &self.owner {
            BytesOwner::Whole(request) => {
                request.activity.written(count);
                request.log.written(count);
            }
            BytesOwner::Stream(request) => {
                request.activity.stream_written(count);
                request.log.written(count);
            }
        }
    }
}

impl Drop for UnwrittenBytes {
    fn drop(&mut self) {
        let count = self.bytes.len();
        match &self.owner {
            BytesOwner::Whole(request) => request.activity.abandoned(count),
            BytesOwner::Stream(request) => request.activity.stream_abandoned(count),
        }
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
    fn parts_of_a_stream_are_unwritten_and_its_request_lasts_until_the_last_is_dropped() {
        let activity = ConnectionActivity::for_test();
        let mut body = TrackedBody::stream_for_test(&activity);
        assert!(activity.has_only_streams() && !activity.has_work() && !body.is_end_stream());
        assert_eq!(body.size_hint().exact(), None);
        let mut context = Context::from_waker(std::task::Waker::noop());
        let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut body).poll_frame(&mut context) else {
            panic!("the source has parts");
        };
        drop(body);
        let Ok(mut data) = frame.into_data() else { panic!("the frame has data") };
        assert_eq!((activity.unwritten(), activity.blocked_since()), (4, None));
        assert_eq!(activity.unwritten_since(), Some(activity.last_progress()));
        data.advance(3);
        assert!(activity.unwritten() == 1 && activity.has_request());
        drop(data);
        assert_eq!((activity.unwritten(), activity.unwritten_since()), (0, None));
        assert!(!activity.has_request() && !activity.has_only_streams());
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
