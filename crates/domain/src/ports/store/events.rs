//! Store of events.

use async_trait::async_trait;

use crate::{
    access::Scope,
    event::{Event, EventName},
    id::{EventId, SessionId},
    ports::error::PortResult,
};

/// Which events are looked for; every condition that is given holds for each of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of this session.
    pub session: Option<SessionId>,
    /// Of this kind.
    pub name: Option<EventName>,
}

impl EventFilter {
    /// Whether an event is looked for.
    pub fn matches(&self, event: &Event) -> bool {
        self.session.as_ref().is_none_or(|session| event.session.as_ref() == Some(session))
            && self.name.is_none_or(|name| event.name == name)
    }
}

/// Which events to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPage {
    /// Those looked for.
    pub filter: EventFilter,
    /// Strictly before this one; from the newest when `None`.
    pub before: Option<EventId>,
    /// At most so many.
    pub limit: u32,
}

/// The event log.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// The organization's events after `after` (from the first when `None`), oldest first.
    async fn after(
        &self,
        scope: &Scope,
        after: Option<&EventId>,
        limit: u32,
    ) -> PortResult<Vec<Event>>;

    /// The organization's events, newest first: by id, descending.
    async fn page(&self, scope: &Scope, page: &EventPage) -> PortResult<Vec<Event>>;
}
