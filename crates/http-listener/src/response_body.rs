//! The bodies of responses: bytes, a stream that ends at no known time, or another protocol on the
//! same connection.
//!
//! Decision: ADR 0040.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::{Stream, future::BoxFuture};
use tokio_util::sync::CancellationToken;

use crate::upgraded_stream::UpgradedStream;

/// A source of a response body, polled only while its peer reads. The source yields no empty parts,
/// and yields a part more often than once in [`Limits::stream_stall`](crate::Limits), so that a
/// quiet source is distinguishable from a peer that does not read.
pub type BodyStream = Pin<Box<dyn Stream<Item = Bytes> + Send>>;

/// Speaks another protocol on the connection of a request, from the 101 response on. Ends the
/// protocol soon after the token is cancelled: the connection is dropped half a second later.
pub type UpgradeHandler =
    Box<dyn FnOnce(UpgradedStream, CancellationToken) -> BoxFuture<'static, ()> + Send>;

/// The body of a response, as a handler returns it.
pub enum ResponseBody {
    /// All bytes.
    Whole(Bytes),
    /// Parts, until the source ends, the peer hangs up or stops reading, or the listener stops. The
    /// request is then in the access log. A stream holds a permit of
    /// [`RequestPermits::stream`](crate::RequestPermits::stream) and none of another kind.
    Stream(BodyStream),
    /// Another protocol, after a 101 response. Only for a request that
    /// [can be upgraded](crate::RequestContext::can_upgrade).
    Upgrade(UpgradeHandler),
}

impl From<Bytes> for ResponseBody {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(bytes)
    }
}

impl std::fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole(bytes) => f.debug_tuple("Whole").field(bytes).finish(),
            Self::Stream(_) => f.write_str("Stream"),
            Self::Upgrade(_) => f.write_str("Upgrade"),
        }
    }
}
