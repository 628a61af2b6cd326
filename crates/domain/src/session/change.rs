//! A change of a session and its events, which are written in one transaction.
//!
//! Decision: ADR 0012.

use crate::{
    caller::Actor,
    event::{Event, NewEvent},
    id::EventId,
    link_attempt::LinkAttempt,
    ports::environment::Environment,
    session::{
        model::Session,
        version::{DueAsRead, ExpectedVersion, Version},
    },
};

/// A change of a session before the commit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Change {
    /// The next state.
    pub session: Session,
    /// Events of the change.
    pub new_events: Vec<NewEvent>,
    /// The link attempt that the change begins. `None` if the change begins no attempt or attempts
    /// are unlimited.
    pub attempt: Option<LinkAttempt>,
}

impl Change {
    /// Creates a change without events.
    pub(crate) fn of(session: Session) -> Self {
        Self { session, new_events: Vec::new(), attempt: None }
    }

    /// Adds an event.
    pub(crate) fn add_event(&mut self, event: NewEvent) {
        self.new_events.push(event);
    }

    /// Assigns version, time, actor and sequence numbers. Returns the state to store, the condition
    /// on the stored row, and the events.
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
