//! Request bodies, bounded in size and time.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::{
    HeaderMap,
    body::{Body as _, Incoming},
    header,
};

use crate::{
    activity::ConnectionActivity,
    limits::Limits,
    request_permits::with_permit_if_pending,
    shared_permits::{NoPermit, Permit},
};

/// Time and size for reading a body that the handler did not read. Many clients send head and body
/// in two parts, so that the response may be ready before the body arrives.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(100);
const MAX_DRAIN_BYTES: usize = 64 * 1024;

/// The body of a request, which the handler may read or ignore.
#[derive(Debug)]
pub struct RequestBody {
    incoming: Incoming,
    limit: usize,
    timeout: Duration,
    state: ReadState,
    activity: ConnectionActivity,
}

/// The reason why a body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The body is larger than [`Limits::body_bytes`], or than the limit of the request.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The body did not arrive within [`Limits::body_time`].
    #[error("the body took too long to arrive")]
    TooSlow,
    /// The connection broke or the body is malformed.
    #[error("the body ended early")]
    Incomplete,
    /// The body has not arrived yet, and there is no permit to wait for the body.
    #[error(transparent)]
    NoPermit(#[from] NoPermit),
}

#[derive(Debug, PartialEq, Eq)]
enum ReadState {
    Unread,
    /// Reading failed, or the peer waits for `100 Continue` (RFC 9110, 10.1.1).
    Abandoned,
    Read,
}

impl RequestBody {
    pub(crate) fn new(
        incoming: Incoming,
        headers: &HeaderMap,
        limits: &Limits,
        activity: ConnectionActivity,
    ) -> Self {
        let withheld = headers.contains_key(header::EXPECT);
        let state = if withheld { ReadState::Abandoned } else { ReadState::Unread };
        Self { incoming, limit: limits.body_bytes, timeout: limits.body_time, state, activity }
    }

    /// Reads the whole body; without a body, returns no bytes. `permit` is taken only if the body
    /// has not arrived yet, and is held while the body arrives.
    ///
    /// # Errors
    /// The body is too large, arrives too slowly or breaks off, or no permit is available.
    pub async fn read(
        &mut self,
        permit: impl FnOnce() -> Result<Permit, NoPermit>,
    ) -> Result<Bytes, BodyError> {
        self.receive(self.limit, self.timeout, || permit().map(Some)).await
    }

    /// Replaces [`Limits::body_bytes`] for this request.
    pub fn set_limit(&mut self, bytes: usize) {
        self.limit = bytes;
    }

    /// Returns whether the connection can take another request because no byte of the body is left
    /// on it. Reads a small unread body for this.
    pub(crate) async fn is_consumed(&mut self) -> bool {
        if self.state == ReadState::Unread && !self.incoming.is_end_stream() {
            // The response is ready, so an error of the body no longer matters.
            let limit = MAX_DRAIN_BYTES.min(self.limit);
            let _ = self.receive(limit, DRAIN_TIMEOUT, || Ok(None)).await;
        }
        self.state == ReadState::Read || self.incoming.is_end_stream()
    }

    async fn receive(
        &mut self,
        limit: usize,
        timeout: Duration,
        permit: impl FnOnce() -> Result<Option<Permit>, NoPermit>,
    ) -> Result<Bytes, BodyError> {
        self.state = ReadState::Abandoned;
        let announced = self.incoming.size_hint().lower();
        if usize::try_from(announced).map_or(true, |announced| announced > limit) {
            return Err(BodyError::TooLarge { limit });
        }
        let Self { incoming, activity, .. } = self;
        let reception = tokio::time::timeout(timeout, receive(incoming, limit, activity));
        let waiting = || Ok::<_, NoPermit>((permit()?, activity.await_peer()));
        let received = with_permit_if_pending(reception, waiting).await?;
        let bytes = received.map_err(|_| BodyError::TooSlow)??;
        self.state = ReadState::Read;
        Ok(bytes)
    }
}

async fn receive(
    incoming: &mut Incoming,
    limit: usize,
    activity: &ConnectionActivity,
) -> Result<Bytes, BodyError> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = incoming.frame().await {
        activity.record_progress();
        let frame = frame.map_err(|_| BodyError::Incomplete)?;
        // A frame without data holds trailers, which are ignored.
        let Ok(data) = frame.into_data() else { continue };
        if data.len() > limit - bytes.len() {
            return Err(BodyError::TooLarge { limit });
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}
