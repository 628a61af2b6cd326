//! Dead letters: events that a webhook did not take within its attempts.

use crate::{
    feed::position::FeedPosition,
    id::{EventId, SessionId},
    time::Timestamp,
    webhook::{
        attempt::OutcomeClass,
        delivery::retry_queue::{OrderingKey, Pass, RetryQueue},
    },
};

/// Maximum number of dead letters of a webhook. The oldest are removed.
pub const MAX_DEAD_LETTERS: u32 = 10_000;

/// An event whose delivery ended without success. The event itself is in the event log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The event.
    pub event: EventId,
    /// Session of the event.
    pub session: Option<SessionId>,
    /// Position of the event in the feed.
    pub position: FeedPosition,
    /// Number of attempts.
    pub attempts: u32,
    /// Time of the first failure.
    pub first_failed_at: Timestamp,
    /// Time at which the delivery ended.
    pub died_at: Timestamp,
    /// Outcome of the last attempt.
    pub class: OutcomeClass,
    /// Status of the last response.
    pub status: Option<u16>,
    /// Time at which a replay delivered the event. `None` before.
    pub replayed_at: Option<Timestamp>,
}

impl DeadLetter {
    /// Returns the retry queue that delivers the event again, with all attempts of the policy.
    pub fn retry_queue(&self, now: Timestamp) -> RetryQueue {
        RetryQueue {
            pass: Pass::Replay,
            key: OrderingKey::Event(self.event.clone()),
            event: self.event.clone(),
            position: self.position,
            sequence: 0,
            attempts: 0,
            due: now,
            first_failed_at: self.first_failed_at,
            class: self.class,
            status: self.status,
            settled: false,
            skip: false,
        }
    }
}
