//! Ports of the environment: clock, id generator, organization tags and notifier.

use std::time::Duration;

use async_trait::async_trait;

use crate::{id::OrganizationId, time::Timestamp};

/// The clock and the id generator.
pub trait Environment: Send + Sync {
    /// Returns the present time.
    fn now(&self) -> Timestamp;

    /// Returns 128 new bits of a ULID: Unix milliseconds in the upper 48 bits, random bits below.
    /// Strictly increasing within a process.
    fn ulid(&self) -> u128;
}

/// Opaque tags of organizations for nodes, which must not know organizations.
pub trait OrganizationTags: Send + Sync {
    /// Returns the tag of an organization: the same at every router with the same database, and not
    /// reversible without the database's secret.
    fn tag(&self, organization: &OrganizationId) -> String;
}

/// Wakes a waiter. A notification carries no payload, and a lost one only adds latency: every wait
/// ends by itself, and waiters re-read the store.
#[async_trait]
pub trait Notifier: Send + Sync {
    /// Wakes the waiter.
    fn notify(&self);

    /// Returns at the next notification, or after `at_most`.
    async fn wait(&self, at_most: Duration);
}
