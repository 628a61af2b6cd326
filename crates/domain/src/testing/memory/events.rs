//! Event log in memory.

use async_trait::async_trait;

use crate::{
    access::Scope,
    event::{Event, stream::EventStream},
    ports::{
        error::PortResult,
        store::events::{EventLog, EventPage},
    },
    testing::memory::state::Memory,
};

#[async_trait]
impl EventLog for Memory {
    async fn page(&self, scope: &Scope, page: &EventPage) -> PortResult<Vec<Event>> {
        let state = self.state()?;
        let mut events: Vec<_> = state
            .events
            .iter()
            .map(|stored| &stored.event)
            .filter(|event| event.organization == *scope.organization())
            .filter(|event| event.stream() == EventStream::Session)
            .filter(|event| event.session.as_ref().is_none_or(|id| scope.reach().covers(id)))
            .filter(|event| page.filter.matches(event))
            .filter(|event| page.before.as_ref().is_none_or(|before| event.id < *before))
            .cloned()
            .collect();
        events.sort_by(|a, b| b.id.cmp(&a.id));
        events.truncate(usize::try_from(page.limit).unwrap_or(usize::MAX));
        Ok(events)
    }
}

impl Memory {
    /// Stores events without a change.
    ///
    /// # Panics
    /// Panics for an event whose session has an event of the same sequence number.
    pub fn append_events(&self, events: &[Event]) {
        if let Ok(mut state) = self.state() {
            state.append(events);
        }
    }
}
