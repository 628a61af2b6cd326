//! Outcomes of guarded writes.

use std::time::Duration;

use crate::{rate_quota::RateQuota, resource_quota::ResourceLimitReached};

/// Whether a write that is guarded happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Written {
    /// Yes, and it is durable.
    Done,
    /// No: the row is gone, or no longer at the expected version.
    Raced,
    /// No: a receipt is kept in this one's slot already.
    Repeated,
    /// No: the organization has, or does, as much as it may.
    Refused(Refusal),
}

/// Why a change is not written that could be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no room for what it adds.
    Full(ResourceLimitReached),
    /// Too much of it was done lately.
    Limited {
        /// Of what, and how much there may be.
        rate_quota: RateQuota,
        /// When there is room again.
        retry_after: Duration,
    },
}
