//! Outcomes of guarded writes.

use std::time::Duration;

use crate::{rate_quota::RateQuota, resource_quota::ResourceLimitReached};

/// Outcome of a guarded write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Written {
    /// The write is durable.
    Done,
    /// No write: the row is gone, exists already, or no longer meets the condition.
    Raced,
}

/// The reason why a commit for a caller is not written, and would not be written by a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// An unexpired idempotency record with the same key hash exists.
    Repeated,
    /// A resource limit of the organization is reached.
    Full(ResourceLimitReached),
    /// A rate quota is exhausted.
    RateLimited {
        /// The exhausted quota.
        rate_quota: RateQuota,
        /// Time until the quota admits the next call.
        retry_after: Duration,
    },
}

/// Outcome of a commit for a caller.
pub type CommitOutcome = Result<Written, Rejection>;
