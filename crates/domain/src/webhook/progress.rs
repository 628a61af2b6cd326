//! The progress of the deliveries of a webhook.

use crate::{feed::position::FeedPosition, id::EventId, time::Timestamp, webhook::replay::Replay};

/// The progress of a webhook, as stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryProgress {
    /// Every event up to this position that the webhook gets was delivered, is a dead letter, or
    /// waits in a retry queue.
    pub position: FeedPosition,
    /// The replay in progress.
    pub replay: Option<Replay>,
    /// The circuit breaker.
    pub breaker: Breaker,
    /// Time of the first failure after the last success. `None` without a failure.
    pub failing_since: Option<Timestamp>,
    /// Number of failures since the last success.
    pub failures: u32,
    /// Time of the last success.
    pub succeeded_at: Option<Timestamp>,
    /// What hinders the deliveries now: the class of the last failure since the last success, or
    /// [`SEALED`].
    pub last_error: Option<String>,
    /// The [`Webhook::resumed_at`](crate::Webhook::resumed_at) that was taken into account.
    pub resumed_at: Option<Timestamp>,
    /// Number of delivered events.
    pub delivered: u64,
    /// Number of failed attempts.
    pub failed: u64,
    /// Number of dead letters.
    pub dead: u64,
    /// Number of gaps: times at which retention removed events before their delivery.
    pub gaps: u64,
}

/// The error of a webhook whose secrets cannot be opened.
pub const SEALED: &str = "sealed";

/// Stops the attempts at a receiver that does not work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breaker {
    /// Time from which one attempt is made. `None` while the breaker is closed.
    pub open_until: Option<Timestamp>,
    /// Number of times that the breaker opened since the last success.
    pub step: u32,
    /// Number of failures in a row at which no request reached the receiver.
    pub unreached: u32,
}

/// A number of retry queues with their earliest events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetrySummary {
    /// Number of retry queues: of sessions that wait for the delivery of one event.
    pub queues: u32,
    /// Time of the next attempt.
    pub next_due: Option<Timestamp>,
}

/// The progress of a webhook with what waits behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgressReport {
    /// The progress.
    pub progress: DeliveryProgress,
    /// The retry queues.
    pub retries: RetrySummary,
    /// The event of a retry queue that was created first.
    pub oldest_failing: Option<EventId>,
}
