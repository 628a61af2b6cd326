//! A change of a session and its events, which are written in one transaction.
//!
//! Decision: ADR 0012.

use crate::{
    caller::Actor,
    commit::{Commit, Decision, SystemCommit},
    error::Result,
    event::{Event, payload::EventPayload},
    id::EventId,
    idempotency::Recorder,
    link_attempt::LinkAttempt,
    ports::environment::Environment,
    session::{
        model::Session,
        version::{DueAsRead, Version},
        write::{SessionUpdate, SessionWrite},
    },
};

/// A change of a session before the commit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Change {
    /// The next state.
    pub session: Session,
    /// Events of the change.
    pub new_events: Vec<EventPayload>,
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
    pub(crate) fn add_event(&mut self, event: EventPayload) {
        self.new_events.push(event);
    }

    /// Assigns version, time, actor and sequence numbers. The link attempt is not a part of the
    /// commit: system transitions begin none.
    pub fn into_commit(
        self,
        actor: &Actor,
        environment: &dyn Environment,
    ) -> SystemCommit<SessionUpdate> {
        let Self { mut session, new_events, attempt: _ } = self;
        let (expected, now) = (session.expected_version(), environment.now());
        session.version = Version(expected.version.0 + 1);
        session.due_as_read = DueAsRead(session.due);
        session.updated_at = now;
        let events = new_events
            .into_iter()
            .map(|payload| {
                session.sequence += 1;
                Event {
                    id: EventId::from_bits(environment.ulid()),
                    organization: session.organization.clone(),
                    session: Some(session.id.clone()),
                    sequence: session.sequence,
                    at: now,
                    actor: actor.clone(),
                    payload,
                }
            })
            .collect();
        Commit { change: SessionUpdate { session, expected }, events, idempotency: () }
    }

    /// Decides to insert the session for a caller.
    ///
    /// # Errors
    /// Errors of the recorder.
    pub(crate) fn into_insert(
        self,
        actor: &Actor,
        environment: &dyn Environment,
        recorder: Recorder<'_, Session>,
    ) -> Result<Decision<Commit<SessionWrite>, Session>> {
        let insert = |update: SessionUpdate, attempt| SessionWrite::Insert(update.session, attempt);
        self.into_decision(actor, environment, recorder, insert)
    }

    /// Decides to replace the session for a caller.
    ///
    /// # Errors
    /// Errors of the recorder.
    pub(crate) fn into_update(
        self,
        actor: &Actor,
        environment: &dyn Environment,
        recorder: Recorder<'_, Session>,
    ) -> Result<Decision<Commit<SessionWrite>, Session>> {
        self.into_decision(actor, environment, recorder, SessionWrite::Update)
    }

    fn into_decision(
        mut self,
        actor: &Actor,
        environment: &dyn Environment,
        recorder: Recorder<'_, Session>,
        write: impl FnOnce(SessionUpdate, Option<LinkAttempt>) -> SessionWrite,
    ) -> Result<Decision<Commit<SessionWrite>, Session>> {
        let attempt = self.attempt.take();
        let commit = self.into_commit(actor, environment);
        let next = commit.change.session.clone();
        let record = recorder.map(|recorder| recorder.record(&next)).transpose()?;
        Ok(Decision::Write(commit.map(|update| write(update, attempt)).recorded(record), next))
    }
}
