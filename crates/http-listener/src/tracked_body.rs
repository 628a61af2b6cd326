//! Response bodies that record how many of their bytes are not written to the socket.
//!
//! Decision: ADR 0028.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use hyper::body::{Body, Frame, SizeHint};

use super::activity::RequestActivity;

/// The body of a response, sent as one frame.
#[derive(Debug)]
pub(crate) struct TrackedBody(Option<UnwrittenBytes>);

/// Bytes for hyper to write. hyper drops them when they are written or the connection ends.
#[derive(Debug)]
pub(crate) struct UnwrittenBytes {
    bytes: Bytes,
    request: RequestActivity,
}

impl TrackedBody {
    pub(crate) fn new(bytes: Bytes, mut request: RequestActivity) -> Self {
        request.answered(bytes.len());
        Self((!bytes.is_empty()).then_some(UnwrittenBytes { bytes, request }))
    }
}

impl Body for TrackedBody {
    type Data = UnwrittenBytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<UnwrittenBytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |data| data.remaining() as u64))
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
        self.request.written(count);
    }
}

impl Drop for UnwrittenBytes {
    fn drop(&mut self) {
        self.request.abandoned(self.bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activity::ConnectionActivity;

    #[test]
    fn bytes_are_unwritten_until_advanced_or_dropped() {
        let activity = ConnectionActivity::for_test();
        let mut answer = TrackedBody::new(Bytes::from_static(b"0123456789"), activity.begin());
        assert_eq!((activity.unwritten(), answer.size_hint().exact()), (10, Some(10)));
        let mut context = Context::from_waker(std::task::Waker::noop());
        let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut answer).poll_frame(&mut context) else {
            panic!("the answer has a frame");
        };
        assert!(answer.is_end_stream());
        drop(answer);
        let mut data = frame.into_data().unwrap();
        data.advance(7);
        assert_eq!((activity.unwritten(), data.chunk()), (3, &b"789"[..]));
        assert!(activity.has_request());
        drop(data);
        assert_eq!((activity.unwritten(), activity.has_request()), (0, false));
    }

    #[test]
    fn answer_without_a_body_is_written_at_once() {
        let activity = ConnectionActivity::for_test();
        let answer = TrackedBody::new(Bytes::new(), activity.begin());
        assert!(answer.is_end_stream() && !activity.has_request());
    }
}
