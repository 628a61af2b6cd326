//! Events: records of changes, written in the transaction of the change.

use std::borrow::Cow;

use crate::{
    caller::Actor,
    id::{EventId, OrganizationId, SessionId},
    ports::environment::Environment,
    time::Timestamp,
};

/// A value in the payload of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventValue {
    /// Text.
    Text(String),
    /// An integer. Times are Unix milliseconds.
    Number(i64),
    /// A boolean.
    Flag(bool),
    /// The known absence of a value.
    Null,
}

impl From<&str> for EventValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Timestamp> for EventValue {
    fn from(at: Timestamp) -> Self {
        Self::Number(at.millis())
    }
}

impl From<bool> for EventValue {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<u32> for EventValue {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl<T: Into<EventValue>> From<Option<T>> for EventValue {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Kinds of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventName {
    /// A session was created.
    SessionCreated,
    /// A caller requested a start, stop, restart, logout or pairing.
    SessionRequested,
    /// The status or its reason changed.
    SessionStatus,
    /// Settings changed.
    SessionUpdated,
    /// The owner deleted the session.
    SessionDeleted,
    /// The cleanup of a deleted session reported its outcome.
    SessionRetired,
    /// A new QR code was issued.
    AuthQr,
    /// A new pairing code was issued.
    AuthCode,
    /// A pairing attempt ended without a link.
    AuthExpired,
    /// A device was linked.
    AuthPaired,
    /// An API key was created.
    ApiKeyCreated,
    /// An API key was revoked.
    ApiKeyRevoked,
}

impl EventName {
    /// Every kind of event.
    pub const ALL: [Self; 12] = [
        Self::SessionCreated,
        Self::SessionRequested,
        Self::SessionStatus,
        Self::SessionUpdated,
        Self::SessionDeleted,
        Self::SessionRetired,
        Self::AuthQr,
        Self::AuthCode,
        Self::AuthExpired,
        Self::AuthPaired,
        Self::ApiKeyCreated,
        Self::ApiKeyRevoked,
    ];

    /// Returns the stable name, as stored and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SessionCreated => "session.created",
            Self::SessionRequested => "session.requested",
            Self::SessionStatus => "session.status",
            Self::SessionUpdated => "session.updated",
            Self::SessionDeleted => "session.deleted",
            Self::SessionRetired => "session.retired",
            Self::AuthQr => "auth.qr",
            Self::AuthCode => "auth.code",
            Self::AuthExpired => "auth.expired",
            Self::AuthPaired => "auth.paired",
            Self::ApiKeyCreated => "api_key.created",
            Self::ApiKeyRevoked => "api_key.revoked",
        }
    }

    /// Returns the kind with this name, or `None`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.as_str() == text)
    }
}

/// A stored event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Id of the event.
    pub id: EventId,
    /// Kind of the event.
    pub name: EventName,
    /// Organization that the event belongs to.
    pub organization: OrganizationId,
    /// Session that the event is about. `None` for events of the organization.
    pub session: Option<SessionId>,
    /// Sequence number per session, from 1 without gaps. 0 without a session.
    pub sequence: u64,
    /// Time of the change.
    pub at: Timestamp,
    /// Actor that caused the change.
    pub actor: Actor,
    /// Details of the change.
    pub payload: EventPayload,
}

/// Details of an event: names and values, in display order. Stored names never change.
pub type EventPayload = Vec<(Cow<'static, str>, EventValue)>;

/// An event before the commit assigns id, time and actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// Kind of the event.
    pub name: EventName,
    /// Details of the change.
    pub payload: EventPayload,
}

impl NewEvent {
    /// Creates an event of this kind.
    pub fn new(
        name: EventName,
        payload: impl IntoIterator<Item = (&'static str, EventValue)>,
    ) -> Self {
        let payload = payload.into_iter().map(|(key, value)| (Cow::Borrowed(key), value)).collect();
        Self { name, payload }
    }

    /// Completes an event without a session, for example for a new API key.
    pub fn of_organization(
        self,
        organization: &OrganizationId,
        actor: &Actor,
        environment: &dyn Environment,
    ) -> Event {
        Event {
            id: EventId::from_bits(environment.ulid()),
            name: self.name,
            organization: organization.clone(),
            session: None,
            sequence: 0,
            at: environment.now(),
            actor: actor.clone(),
            payload: self.payload,
        }
    }
}
