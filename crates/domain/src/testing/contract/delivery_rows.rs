//! Retry queues, dead letters and attempts of the suites of deliveries.

use crate::{
    feed::position::FeedPosition,
    id::{AttemptId, EventId, SessionId},
    ports::environment::Environment,
    time::Timestamp,
    webhook::{
        attempt::{AttemptRecord, OutcomeClass},
        dead_letter::DeadLetter,
        delivery::retry_queue::{OrderingKey, Pass, RetryQueue},
    },
};

pub(super) fn queue(
    pass: Pass,
    key: OrderingKey,
    position: u64,
    event: EventId,
    now: Timestamp,
) -> RetryQueue {
    RetryQueue {
        pass,
        key,
        event,
        position: FeedPosition::from_number(position),
        sequence: 4,
        attempts: 3,
        due: now,
        first_failed_at: now,
        class: OutcomeClass::ServerError,
        status: Some(503),
        settled: false,
        skip: false,
    }
}

pub(super) fn dead_letter(
    event: EventId,
    session: Option<SessionId>,
    now: Timestamp,
) -> DeadLetter {
    DeadLetter {
        event,
        session,
        position: FeedPosition::from_number(5),
        attempts: 15,
        first_failed_at: now,
        died_at: now,
        class: OutcomeClass::Reset,
        status: None,
        replayed_at: None,
    }
}

pub(super) fn attempt(
    event: EventId,
    now: Timestamp,
    environment: &dyn Environment,
) -> AttemptRecord {
    AttemptRecord {
        id: AttemptId::from_bits(environment.ulid()),
        event,
        number: 2,
        replay: true,
        at: now,
        duration: std::time::Duration::from_millis(12),
        class: OutcomeClass::ClientError,
        status: Some(404),
        excerpt: Some("\u{fffd} \"no\"".to_owned()),
    }
}
