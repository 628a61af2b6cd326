//! The newest events of one organization, each rendered once.

use std::{collections::VecDeque, sync::Arc};

use domain::{EventId, EventName, FeedEvent, FeedPosition, OrganizationId, SessionId};

/// Maximum number of events in a ring.
const MAX_EVENTS: usize = 1024;
/// Maximum number of bytes of the texts in a ring.
const MAX_BYTES: usize = 1024 * 1024;

/// An event as streams and webhooks send it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderedEvent {
    /// Position in the feed.
    pub position: FeedPosition,
    /// Id of the event.
    pub id: EventId,
    /// Kind of the event.
    pub name: EventName,
    /// Organization of the event.
    pub organization: OrganizationId,
    /// Session of the event. `None` for events of the organization.
    pub session: Option<SessionId>,
    /// Sequence number per session and stream. 0 without a session.
    pub sequence: u64,
    /// The JSON text.
    pub text: Arc<str>,
}

impl RenderedEvent {
    pub(crate) fn new(found: &FeedEvent, text: String) -> Self {
        let event = &found.event;
        Self {
            position: found.position,
            id: event.id.clone(),
            name: event.name(),
            organization: event.organization.clone(),
            session: event.session.clone(),
            sequence: event.sequence,
            text: text.into(),
        }
    }
}

/// The events after a position.
#[derive(Debug)]
pub(crate) struct Ring {
    /// The ring holds every event of the organization after this position, up to the position of the
    /// tail.
    start: FeedPosition,
    events: VecDeque<Arc<RenderedEvent>>,
    bytes: usize,
}

impl Ring {
    pub(crate) fn new(start: FeedPosition) -> Self {
        Self { start, events: VecDeque::new(), bytes: 0 }
    }

    /// Returns the bytes of the texts.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds an event, and drops the oldest events above the limits.
    pub(crate) fn push(&mut self, event: RenderedEvent) {
        self.bytes += event.text.len();
        self.events.push_back(Arc::new(event));
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
            self.bytes -= event.text.len();
            self.start = event.position;
        }
    }

    /// Returns the events after a position, oldest first; `None` if the ring does not reach back to
    /// the position.
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
    use super::*;

    fn event(position: u64, bytes: usize) -> RenderedEvent {
        RenderedEvent {
            position: FeedPosition::from_number(position),
            id: EventId::from_bits(position.into()),
            name: EventName::SessionStatus,
            organization: OrganizationId::parse("acme").unwrap(),
            session: None,
            sequence: 0,
            text: "x".repeat(bytes).into(),
        }
    }

    fn numbers(ring: &Ring, after: u64) -> Option<Vec<u64>> {
        let events = ring.after(FeedPosition::from_number(after))?;
        Some(events.map(|event| event.position.number()).collect())
    }

    #[test]
    fn ring_returns_events_after_a_position_that_it_reaches() {
        let mut ring = Ring::new(FeedPosition::from_number(10));
        assert_eq!(numbers(&ring, 10), Some(vec![]));
        assert_eq!(numbers(&ring, 9), None);
        for position in [12, 15, 20] {
            ring.push(event(position, 1));
        }
        assert_eq!(numbers(&ring, 10), Some(vec![12, 15, 20]));
        assert_eq!(numbers(&ring, 12), Some(vec![15, 20]));
        assert_eq!(numbers(&ring, 13), Some(vec![15, 20]));
        assert_eq!(numbers(&ring, 99), Some(vec![]));
        ring.clear();
        assert_eq!((numbers(&ring, 19), numbers(&ring, 20)), (None, Some(vec![])));
        assert_eq!(ring.bytes(), 0);
    }

    #[test]
    fn ring_drops_the_oldest_events_above_its_limits() {
        let mut ring = Ring::new(FeedPosition::START);
        for position in 1..=1025 {
            ring.push(event(position, 1));
        }
        assert_eq!(numbers(&ring, 0), None);
        assert_eq!(numbers(&ring, 1).map(|it| it.len()), Some(1024));
        ring.push(event(1026, MAX_BYTES));
        assert_eq!(numbers(&ring, 1025), Some(vec![1026]));
        assert_eq!((ring.bytes(), numbers(&ring, 1024)), (MAX_BYTES, None));
    }
}
