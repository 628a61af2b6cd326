//! Events: records of changes, written in the transaction of the change.

mod event_table;
pub(crate) mod field_spec;
pub(crate) mod fields;
pub(crate) mod message_fields;
pub(crate) mod payload;
mod payload_access;
pub(crate) mod stream;

use crate::{
    caller::Actor,
    event::{
        payload::{EventName, EventPayload},
        stream::EventStream,
    },
    id::{EventId, OrganizationId, SessionId},
    ports::environment::Environment,
    time::Timestamp,
};

/// A stored event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Id of the event.
    pub id: EventId,
    /// Organization that the event belongs to.
    pub organization: OrganizationId,
    /// Session that the event is about. `None` for events of the organization.
    pub session: Option<SessionId>,
    /// Sequence number per session and stream, from 1 without gaps. 0 without a session.
    pub sequence: u64,
    /// Time of the change.
    pub at: Timestamp,
    /// Actor that caused the change.
    pub actor: Actor,
    /// Kind and details of the change.
    pub payload: EventPayload,
}

impl Event {
    /// Creates an event without a session, for example for a new API key.
    pub fn of_organization(
        payload: EventPayload,
        organization: &OrganizationId,
        actor: &Actor,
        environment: &dyn Environment,
    ) -> Self {
        Self {
            id: EventId::from_bits(environment.ulid()),
            organization: organization.clone(),
            session: None,
            sequence: 0,
            at: environment.now(),
            actor: actor.clone(),
            payload,
        }
    }

    /// Returns the kind of the event.
    pub fn name(&self) -> EventName {
        self.payload.name()
    }

    /// Returns the stream of the event.
    pub fn stream(&self) -> EventStream {
        self.name().stream()
    }
}
