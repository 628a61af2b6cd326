//! Receipts: answers that are kept, so that a request that is repeated is answered and not carried
//! out again.
//!
//! A receipt is written in the transaction of the change it tells of. So there is no moment at which
//! the change is there and its receipt is not: whoever died between the two can ask again, and hears
//! what the first request did instead of doing it twice.
//!
//! Decision: ADR 0014.

use std::{fmt, time::Duration};

use crate::{Error, Result, Timestamp};

/// The place of a receipt within an organization: a digest of whatever makes two requests the same
/// one, the caller's own word for it included.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdempotencyKeyHash(pub [u8; 32]);

/// An answer, kept for whoever asks the same again.
#[derive(Clone, PartialEq, Eq)]
pub struct IdempotencyRecord {
    /// Where it is kept.
    pub key_hash: IdempotencyKeyHash,
    /// A digest of everything that was asked: the same slot with another request is a mistake.
    pub request: [u8; 32],
    /// The answer, as its maker wants it back; opaque here.
    pub response: Vec<u8>,
    /// From when on it counts as never made.
    pub expires_at: Timestamp,
}

/// Makes receipts of changes, for one request.
pub trait RecordResponse<T: ?Sized>: Send + Sync {
    /// What is kept of a change to this, which is about to be written.
    ///
    /// # Errors
    /// [`Error::Internal`] when its answer cannot be made.
    fn record(&self, thing: &T) -> Result<IdempotencyRecord>;

    /// It was written, and the receipt with it.
    fn committed(&self);
}

/// Another request was quicker to write its receipt into the slot: it is answered in a moment.
pub(crate) fn duplicate_request() -> Error {
    Error::Conflict {
        message: "a request with this idempotency key is under way",
        retry_after: Some(Duration::from_secs(1)),
    }
}

/// Without its text: a dump of it tells nobody anything.
impl fmt::Debug for IdempotencyKeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slot({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

/// Without the answer, which may hold a secret.
impl fmt::Debug for IdempotencyRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt")
            .field("slot", &self.key_hash)
            .field("bytes", &self.response.len())
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
