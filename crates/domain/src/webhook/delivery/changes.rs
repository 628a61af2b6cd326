//! The changes of a webhook's deliveries since the last flush.

use crate::{
    id::EventId,
    session::version::Version,
    time::Timestamp,
    webhook::{
        attempt::AttemptRecord,
        dead_letter::DeadLetter,
        delivery::retry_queue::{OrderingKey, Pass, RetryQueue},
        disabled_reason::DisabledReason,
        progress::DeliveryProgress,
    },
};

/// Changes that are written in one transaction: the position moves only together with the retry
/// queues and the dead letters that it passes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryChanges {
    /// The progress. Without a replay, the stored replay stays as it is.
    pub progress: DeliveryProgress,
    /// [`Replay::started_at`](crate::Replay::started_at) of a replay that ended.
    pub ended_replay: Option<Timestamp>,
    /// Retry queues to insert or replace.
    pub retries: Vec<RetryQueue>,
    /// Retry queues to remove.
    pub removed: Vec<(Pass, OrderingKey)>,
    /// New dead letters.
    pub dead_letters: Vec<DeadLetter>,
    /// Dead letters that a replay delivered, with the time.
    pub replayed: Vec<(EventId, Timestamp)>,
    /// New attempts.
    pub attempts: Vec<AttemptRecord>,
    /// Stops the deliveries, unless the owner changed the webhook after this version.
    pub disable: Option<(DisabledReason, Version)>,
    /// Number of new gaps.
    pub gaps: u32,
}
