//! Time, randomness, and being woken.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{SessionId, Timestamp};

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

/// Tells whoever waits for a session that it was written. As with any bell, what is missed costs a
/// moment.
pub trait Changes: Send + Sync {
    /// This session was written.
    fn tell(&self, session: &SessionId);

    /// What rings when this session is written, from now on.
    fn bell(self: Arc<Self>, session: &SessionId) -> Arc<dyn Bell>;
}

/// One bell for all sessions: every change wakes everybody.
impl<B: Bell + 'static> Changes for B {
    fn tell(&self, _: &SessionId) {
        self.ring();
    }

    fn bell(self: Arc<Self>, _: &SessionId) -> Arc<dyn Bell> {
        self
    }
}
