//! A session's next state and the news that tell of it, written as one.
//!
//! Decision: ADR 0012.

use super::{Session, Version};
use crate::{Actor, Event, EventId, LinkAttempt, NewEvent, Timestamp, ports::Environment};

/// How a session stood when it was read: what every write of it is guarded by.
///
/// The version alone would not do. Whoever wakes a session moves its `due` and nothing else; a write that
/// knows nothing of that would put it off again, and a node that is back would wait for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpectedVersion {
    /// Its version.
    pub version: Version,
    /// When it was to be looked at.
    pub due: Option<Timestamp>,
}

/// When a session was to be looked at, as it was read. No part of what the session is: two that differ
/// in nothing else are equal.
#[derive(Clone, Copy, Debug, Default)]
pub struct DueAsRead(pub Option<Timestamp>);

impl PartialEq for DueAsRead {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for DueAsRead {}

impl Session {
    /// What a write is guarded by that begins from here.
    pub fn expected_version(&self) -> ExpectedVersion {
        ExpectedVersion { version: self.version, due: self.due_as_read.0 }
    }
}

/// What is about to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Change {
    /// The next state.
    pub session: Session,
    /// What there is to tell.
    pub new_events: Vec<NewEvent>,
    /// The attempt at linking that begins with it, where attempts are counted.
    pub attempt: Option<LinkAttempt>,
}

impl Change {
    /// The next state, without news so far.
    pub(crate) fn of(session: Session) -> Self {
        Self { session, new_events: Vec::new(), attempt: None }
    }

    /// Adds news.
    pub(crate) fn add_event(&mut self, event: NewEvent) {
        self.new_events.push(event);
    }

    /// Numbers, dates and signs it: the state as it is to be stored, how the stored row must still
    /// stand, and the events.
    pub fn into_commit(
        self,
        actor: &Actor,
        environment: &dyn Environment,
    ) -> (Session, ExpectedVersion, Vec<Event>) {
        let Self { mut session, new_events, attempt: _ } = self;
        let (expected, now) = (session.expected_version(), environment.now());
        session.version = Version(expected.version.0 + 1);
        session.due_as_read = DueAsRead(session.due);
        session.updated_at = now;
        let events = new_events
            .into_iter()
            .map(|event| {
                session.sequence += 1;
                Event {
                    id: EventId::from_bits(environment.ulid()),
                    name: event.name,
                    organization: session.organization.clone(),
                    session: Some(session.id.clone()),
                    sequence: session.sequence,
                    at: now,
                    actor: actor.clone(),
                    payload: event.payload,
                }
            })
            .collect();
        (session, expected, events)
    }
}
