//! What happened, written in the transaction of the change it tells of.

use std::borrow::Cow;

use crate::{Actor, EventId, OrganizationId, SessionId, Timestamp, ports::Environment};

/// A value in an event's payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventValue {
    /// Text.
    Text(String),
    /// A whole number; moments are epoch milliseconds.
    Number(i64),
    /// Yes or no.
    Flag(bool),
    /// Known to be nothing.
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

/// The kinds of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventName {
    /// A session was made.
    SessionCreated,
    /// Somebody asked for a start, stop, restart, logout or pairing.
    SessionRequested,
    /// The status or its reason changed.
    SessionStatus,
    /// Settings changed.
    SessionUpdated,
    /// The session is gone for its owner.
    SessionDeleted,
    /// What was left of a deleted session on WhatsApp and on the node is gone too, or given up.
    SessionRetired,
    /// A QR code to scan.
    AuthQr,
    /// A code to type on the phone.
    AuthCode,
    /// A pairing attempt ended without a link.
    AuthExpired,
    /// A device was linked.
    AuthPaired,
    /// An API key was made.
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

    /// The name on the wire.
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

    /// `None` when there is no such event.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.as_str() == text)
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its own name.
    pub id: EventId,
    /// Its kind.
    pub name: EventName,
    /// Whose it is.
    pub organization: OrganizationId,
    /// The session it tells of, if it tells of one.
    pub session: Option<SessionId>,
    /// Per session, from 1, without gaps; 0 when it tells of no session.
    pub sequence: u64,
    /// When.
    pub at: Timestamp,
    /// Who caused it.
    pub actor: Actor,
    /// What there is to know.
    pub payload: EventPayload,
}

/// An event's particulars, in the order they are shown.
pub type EventPayload = Vec<(Cow<'static, str>, EventValue)>;

/// An event whose name, moment and author are still to be put on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// Its kind.
    pub name: EventName,
    /// What there is to know.
    pub payload: EventPayload,
}

impl NewEvent {
    /// News of this kind.
    pub fn new(
        name: EventName,
        payload: impl IntoIterator<Item = (&'static str, EventValue)>,
    ) -> Self {
        let payload = payload.into_iter().map(|(key, value)| (Cow::Borrowed(key), value)).collect();
        Self { name, payload }
    }

    /// An event about no session, such as a new API key.
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
