//! The newest events of one organization, each rendered once.

use std::{collections::VecDeque, sync::Arc};

use domain::FeedPosition;

use crate::rendered_event::RenderedEvent;

/// Maximum number of recent events of an organization.
const MAX_EVENTS: usize = 1024;
/// Maximum number of bytes of an organization's recent events.
const MAX_BYTES: usize = 1024 * 1024;

/// Every event of an organization after a position, up to the position of the tail.
#[derive(Debug)]
pub(crate) struct RecentEvents {
    start: FeedPosition,
    events: VecDeque<Arc<RenderedEvent>>,
    bytes: usize,
}

impl RecentEvents {
    pub(crate) fn new(start: FeedPosition) -> Self {
        Self { start, events: VecDeque::new(), bytes: 0 }
    }

    /// Returns the number of bytes of the events.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds an event, and drops the oldest events above the limits.
    pub(crate) fn push(&mut self, event: Arc<RenderedEvent>) {
        self.bytes += event.bytes();
        self.events.push_back(event);
        while self.events.len() > MAX_EVENTS || (self.bytes > MAX_BYTES && self.events.len() > 1) {
            self.drop_oldest();
        }
    }

    /// Drops every event. Readers then read the store.
    pub(crate) fn clear(&mut self) {
        while !self.events.is_empty() {
            self.drop_oldest();
        }
        self.events.shrink_to_fit();
    }

    fn drop_oldest(&mut self) {
        if let Some(event) = self.events.pop_front() {
            self.bytes -= event.bytes();
            self.start = event.position;
        }
    }

    /// Returns the events after a position, oldest first; `None` if older events than these are
    /// asked for.
    pub(crate) fn after(
        &self,
        position: FeedPosition,
    ) -> Option<impl Iterator<Item = &Arc<RenderedEvent>>> {
        if position < self.start {
            return None;
        }
        let first = self.events.partition_point(|event| event.position <= position);
        Some(self.events.range(first..))
    }
}

#[cfg(test)]
mod tests {
    use domain::{EventId, EventName, OrganizationId};

    use super::*;

    fn event(position: u64, bytes: usize) -> Arc<RenderedEvent> {
        Arc::new(RenderedEvent {
            position: FeedPosition::from_number(position),
            id: EventId::from_bits(position.into()),
            name: EventName::SessionStatus,
            organization: OrganizationId::parse("acme").unwrap(),
            session: None,
            sequence: 0,
            text: vec![b'x'; bytes].into(),
        })
    }

    fn numbers(recent: &RecentEvents, after: u64) -> Option<Vec<u64>> {
        let events = recent.after(FeedPosition::from_number(after))?;
        Some(events.map(|event| event.position.number()).collect())
    }

    #[test]
    fn events_after_a_reached_position_are_returned() {
        let mut recent = RecentEvents::new(FeedPosition::from_number(10));
        assert_eq!(numbers(&recent, 10), Some(vec![]));
        assert_eq!(numbers(&recent, 9), None);
        for position in [12, 15, 20] {
            recent.push(event(position, 1));
        }
        assert_eq!(numbers(&recent, 10), Some(vec![12, 15, 20]));
        assert_eq!(numbers(&recent, 12), Some(vec![15, 20]));
        assert_eq!(numbers(&recent, 13), Some(vec![15, 20]));
        assert_eq!(numbers(&recent, 99), Some(vec![]));
        recent.clear();
        assert_eq!((numbers(&recent, 19), numbers(&recent, 20)), (None, Some(vec![])));
        assert_eq!(recent.bytes(), 0);
    }

    #[test]
    fn oldest_events_above_the_limits_are_dropped() {
        let mut recent = RecentEvents::new(FeedPosition::START);
        for position in 1..=1025 {
            recent.push(event(position, 1));
        }
        assert_eq!(numbers(&recent, 0), None);
        assert_eq!(numbers(&recent, 1).map(|it| it.len()), Some(1024));
        let large = event(1026, MAX_BYTES);
        let bytes = large.bytes();
        recent.push(large);
        assert_eq!(numbers(&recent, 1025), Some(vec![1026]));
        assert_eq!((recent.bytes(), numbers(&recent, 1024)), (bytes, None));
    }
}
