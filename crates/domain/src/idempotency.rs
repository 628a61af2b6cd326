//! Idempotency records: stored responses of requests with an idempotency key. A repeated request
//! gets the stored response and changes no state.
//!
//! A record is written in the transaction of its change. A caller whose connection or process dies
//! between the commit and the response repeats the request and gets the response of the first one.
//!
//! Decision: ADR 0014.

use std::fmt;

use crate::{error::Result, time::Timestamp};

/// Hash that identifies an idempotency record within an organization. It covers the idempotency key
/// of the caller and the parts of the request that make two requests the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdempotencyKeyHash(pub [u8; 32]);

/// The stored response of a request.
#[derive(Clone, PartialEq, Eq)]
pub struct IdempotencyRecord {
    /// Hash that identifies the record.
    pub key_hash: IdempotencyKeyHash,
    /// Hash of the whole request. A record with the same key hash and another request hash is a
    /// misuse of the idempotency key.
    pub request: [u8; 32],
    /// The response. The HTTP adapter defines the format; the domain does not read it.
    pub response: Vec<u8>,
    /// Time from which the record is ignored.
    pub expires_at: Timestamp,
}

/// Creates the idempotency record of one request from the entity that its change writes.
pub trait RecordResponse<T: ?Sized>: Send + Sync {
    /// Returns the record for a change to `thing` that is about to be written.
    ///
    /// # Errors
    /// [`Error::Internal`](crate::error::Error::Internal) if the response cannot be rendered.
    fn record(&self, thing: &T) -> Result<IdempotencyRecord>;

    /// Reports that the change and its record are committed.
    fn committed(&self);
}

/// The recorder of a request with an idempotency key. `None` for other requests.
pub type Recorder<'a, T> = Option<&'a dyn RecordResponse<T>>;

/// Shows the first two bytes only.
impl fmt::Debug for IdempotencyKeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdempotencyKeyHash({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

/// Omits the response, which may contain a secret.
impl fmt::Debug for IdempotencyRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdempotencyRecord")
            .field("key_hash", &self.key_hash)
            .field("bytes", &self.response.len())
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
