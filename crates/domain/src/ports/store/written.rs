//! Outcomes of guarded writes.

use std::time::Duration;

use crate::{rate_quota::RateQuota, resource_quota::ResourceLimitReached};

/// Outcome of a guarded write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Written {
    /// The write is durable.
    Done,
    /// No write: the row is gone or no longer meets the condition.
    Raced,
    /// No write: an idempotency record with the same key hash exists.
    Repeated,
    /// No write: a quota of the organization is exhausted.
    Refused(Refusal),
}

/// The quota that refused a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A resource limit.
    Full(ResourceLimitReached),
    /// A rate quota.
    Limited {
        /// The exhausted quota.
        rate_quota: RateQuota,
        /// Time until the quota admits the next call.
        retry_after: Duration,
    },
}
