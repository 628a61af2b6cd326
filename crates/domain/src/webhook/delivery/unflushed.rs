//! What happened since the last flush.

use std::collections::BTreeSet;

use crate::{
    id::EventId,
    session::version::Version,
    time::Timestamp,
    webhook::{
        attempt::AttemptRecord,
        dead_letter::DeadLetter,
        delivery::retry_queue::{OrderingKey, Pass},
        disabled_reason::DisabledReason,
    },
};

/// What happened since the last flush, besides the progress.
#[derive(Debug, Default)]
pub(crate) struct Unflushed {
    /// Retry queues that changed or ended.
    pub(crate) retries: BTreeSet<(Pass, OrderingKey)>,
    pub(crate) dead_letters: Vec<DeadLetter>,
    pub(crate) replayed: Vec<(EventId, Timestamp)>,
    pub(crate) attempts: Vec<AttemptRecord>,
    /// Number of attempts that were no successful first ones. Those show in the position.
    pub(crate) repeats: usize,
    /// With the version of the webhook whose receiver caused the disablement.
    pub(crate) disable: Option<(DisabledReason, Version)>,
    pub(crate) ended_replay: Option<Timestamp>,
    pub(crate) gaps: u32,
    /// Whether the progress changed in more than a position.
    pub(crate) progress: bool,
}

impl Unflushed {
    pub(crate) fn is_empty(&self) -> bool {
        self.retries.is_empty()
            && self.dead_letters.is_empty()
            && self.replayed.is_empty()
            && self.attempts.is_empty()
            && self.disable.is_none()
            && self.ended_replay.is_none()
            && self.gaps == 0
            && !self.progress
    }

    /// Adds what happened before and was not written.
    pub(crate) fn prepend(&mut self, earlier: Self) {
        self.retries.extend(earlier.retries);
        self.dead_letters.splice(0..0, earlier.dead_letters);
        self.replayed.splice(0..0, earlier.replayed);
        self.attempts.splice(0..0, earlier.attempts);
        self.repeats += earlier.repeats;
        self.disable = self.disable.or(earlier.disable);
        self.ended_replay = self.ended_replay.or(earlier.ended_replay);
        self.gaps += earlier.gaps;
        self.progress |= earlier.progress;
    }
}
