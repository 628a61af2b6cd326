//! Time, randomness, and being woken.

use std::time::Duration;

use async_trait::async_trait;

use crate::Timestamp;

/// The clock and the source of new names.
pub trait Environment: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;

    /// 128 fresh bits of a ULID: milliseconds since the epoch in the upper 48, randomness below,
    /// strictly growing within a process.
    fn ulid(&self) -> u128;
}

/// Wakes whoever waits; carries nothing. A missed ring costs a moment, never an event: every wait
/// ends by itself, and whoever wakes looks at the store.
#[async_trait]
pub trait Bell: Send + Sync {
    /// Something changed.
    fn ring(&self);

    /// Returns at the next ring, or after `at_most`.
    async fn wait(&self, at_most: Duration);
}
