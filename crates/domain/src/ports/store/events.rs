//! Store of events.

use async_trait::async_trait;

use crate::{
    access::Scope,
    event::{Event, payload::EventName},
    id::{EventId, SessionId},
    ports::error::PortResult,
};

/// Conditions on events. All given conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// The event belongs to this session.
    pub session: Option<SessionId>,
    /// The event is of this kind.
    pub name: Option<EventName>,
}

impl EventFilter {
    /// Returns true if the event meets every condition.
    pub fn matches(&self, event: &Event) -> bool {
        self.session.as_ref().is_none_or(|session| event.session.as_ref() == Some(session))
            && self.name.is_none_or(|name| event.name() == name)
    }
}

/// A page of the event log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPage {
    /// Conditions on the events.
    pub filter: EventFilter,
    /// Only events before this one. `None` begins at the newest event.
    pub before: Option<EventId>,
    /// Maximum number of events.
    pub limit: u32,
}

/// The event log of the audit: the events of the stream `session`. Reads fail only with [`PortError`](crate::ports::error::PortError).
#[async_trait]
pub trait EventLog: Send + Sync {
    /// Returns a page of the events of the organization, newest first: by id, descending.
    async fn page(&self, scope: &Scope, page: &EventPage) -> PortResult<Vec<Event>>;
}
