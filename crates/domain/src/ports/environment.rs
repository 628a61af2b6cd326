//! Time, randomness, and being woken.

use std::time::Duration;

use async_trait::async_trait;

use crate::{id::OrganizationId, time::Timestamp};

/// The clock and the source of new names.
pub trait Environment: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;

    /// 128 fresh bits of a ULID: milliseconds since the epoch in the upper 48, randomness below,
    /// strictly growing within a process.
    fn ulid(&self) -> u128;
}

/// Names organizations to nodes, which must not learn who they are.
pub trait OrganizationTags: Send + Sync {
    /// The tag of this organization: the same at every router over one database, and of no use to
    /// whoever does not know that database's secret.
    fn tag(&self, organization: &OrganizationId) -> String;
}

/// Wakes whoever waits; carries nothing. A missed ring costs a moment, never an event: every wait
/// ends by itself, and whoever wakes looks at the store.
#[async_trait]
pub trait Notifier: Send + Sync {
    /// Something changed.
    fn notify(&self);

    /// Returns at the next ring, or after `at_most`.
    async fn wait(&self, at_most: Duration);
}
