//! The events of one pass that wait for their first attempt, by key.

use std::collections::{BTreeMap, VecDeque};

use crate::{
    event::payload::EventName,
    feed::position::FeedPosition,
    id::{EventId, SessionId},
    webhook::delivery::retry_queue::OrderingKey,
};

/// An event in memory. `B` is the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedEvent<B> {
    /// Position of the event.
    pub position: FeedPosition,
    /// Id of the event.
    pub id: EventId,
    /// Kind of the event.
    pub name: EventName,
    /// Session of the event.
    pub session: Option<SessionId>,
    /// Sequence number of the event in its session.
    pub sequence: u64,
    /// Length of the body in bytes.
    pub length: usize,
    /// The body.
    pub body: B,
}

/// Maximum number of events of a pass that wait in memory, before the queue takes no more.
const MAX_EVENTS: usize = 256;
/// Maximum number of bytes of bodies that wait in memory, before the queue takes no more.
const MAX_BYTES: usize = 1 << 20;

/// The unsettled events of a pass. An event is settled when it was delivered, became a dead letter,
/// or is covered by a retry queue.
#[derive(Debug)]
pub(crate) struct EventQueue<B> {
    /// Every event up to here was taken from the feed.
    scanned: FeedPosition,
    events: BTreeMap<FeedPosition, QueuedEvent<B>>,
    /// Positions of all events after the stored position, except events that a retry queue covers.
    window: VecDeque<FeedPosition>,
    /// Positions of the unsettled events of each key, in order.
    keys: BTreeMap<OrderingKey, VecDeque<FeedPosition>>,
    /// Keys whose first event can be attempted, by the position of that event.
    ready: BTreeMap<FeedPosition, OrderingKey>,
    bytes: usize,
}

impl<B> EventQueue<B> {
    /// Creates a queue of the events after a position.
    pub(crate) fn new(scanned: FeedPosition) -> Self {
        Self {
            scanned,
            events: BTreeMap::new(),
            window: VecDeque::new(),
            keys: BTreeMap::new(),
            ready: BTreeMap::new(),
            bytes: 0,
        }
    }

    /// Returns the position up to which events were taken.
    pub(crate) fn scanned(&self) -> FeedPosition {
        self.scanned
    }

    /// Returns the position up to which every event is settled.
    pub(crate) fn settled(&self) -> FeedPosition {
        let before = |position: &FeedPosition| position.number().saturating_sub(1);
        let first = self.events.keys().next().map(before);
        first.map_or(self.scanned, FeedPosition::from_number)
    }

    /// Returns the first unsettled event.
    pub(crate) fn first(&self) -> Option<&QueuedEvent<B>> {
        self.events.values().next()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Records that a position is stored.
    pub(crate) fn stored(&mut self, position: FeedPosition) {
        while self.window.front().is_some_and(|first| *first <= position) {
            self.window.pop_front();
        }
    }

    /// Returns the number of events after the stored position that were delivered or became dead
    /// letters. A router that begins at the stored position delivers them again.
    pub(crate) fn settled_ahead(&self) -> usize {
        self.window.len() - self.events.len()
    }

    pub(crate) fn has_room(&self) -> bool {
        self.events.len() < MAX_EVENTS && self.bytes < MAX_BYTES
    }

    /// Returns the number of bytes of the bodies.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns whether a key can be attempted, of all or of the first unsettled event.
    pub(crate) fn has_ready(&self, all: bool, is_free: impl Fn(&OrderingKey) -> bool) -> bool {
        self.next_ready(all, is_free).is_some()
    }

    fn next_ready(
        &self,
        all: bool,
        is_free: impl Fn(&OrderingKey) -> bool,
    ) -> Option<FeedPosition> {
        let first = self.events.keys().next();
        let mut ready = self.ready.iter().filter(|(at, _)| all || Some(*at) == first);
        ready.find(|(_, key)| is_free(key)).map(|(at, _)| *at)
    }

    /// Adds the event after all others.
    pub(crate) fn push(&mut self, key: OrderingKey, event: QueuedEvent<B>) {
        let positions = self.keys.entry(key.clone()).or_default();
        if positions.is_empty() {
            self.ready.insert(event.position, key);
        }
        positions.push_back(event.position);
        self.bytes += event.length;
        self.window.push_back(event.position);
        self.events.insert(event.position, event);
    }

    /// Records that every event up to `until` was taken.
    pub(crate) fn advance(&mut self, until: FeedPosition) {
        self.scanned = self.scanned.max(until);
    }

    /// Takes the key of the oldest event that can be attempted, of all events or of the first unsettled
    /// one. The key is not ready until [`Self::settle_first`] or [`Self::put_back`].
    pub(crate) fn take_ready(
        &mut self,
        all: bool,
        is_free: impl Fn(&OrderingKey) -> bool,
    ) -> Option<(OrderingKey, QueuedEvent<B>)>
    where
        B: Clone,
    {
        let at = self.next_ready(all, is_free)?;
        let event = self.events.get(&at)?.clone();
        Some((self.ready.remove(&at)?, event))
    }

    /// Makes a key ready again whose first event was not attempted.
    pub(crate) fn put_back(&mut self, key: OrderingKey) {
        if let Some(first) = self.keys.get(&key).and_then(VecDeque::front) {
            self.ready.insert(*first, key);
        }
    }

    /// Settles the first event of a key. The next event of the key can be attempted.
    pub(crate) fn settle_first(&mut self, key: &OrderingKey) {
        let Some(positions) = self.keys.get_mut(key) else { return };
        if let Some(first) = positions.pop_front()
            && let Some(event) = self.events.remove(&first)
        {
            self.bytes -= event.length;
        }
        match positions.front() {
            Some(next) => drop(self.ready.insert(*next, key.clone())),
            None => drop(self.keys.remove(key)),
        }
    }

    /// Settles all events of a key, which a retry queue covers. Returns the last position.
    pub(crate) fn settle_all(&mut self, key: &OrderingKey) -> Option<FeedPosition> {
        self.ready.retain(|_, ready| ready != key);
        let positions = self.keys.remove(key)?;
        for position in &positions {
            if let Some(event) = self.events.remove(position) {
                self.bytes -= event.length;
            }
        }
        self.window.retain(|position| positions.binary_search(position).is_err());
        positions.back().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::stream::EventStream;

    fn at(number: u64) -> FeedPosition {
        FeedPosition::from_number(number)
    }

    fn key(number: u128) -> OrderingKey {
        OrderingKey::Session(SessionId::from_bits(number), EventStream::Session)
    }

    fn queue(events: &[(u64, u128)], until: u64) -> EventQueue<()> {
        let mut queue = EventQueue::new(at(10));
        for (position, session) in events {
            let event = QueuedEvent {
                position: at(*position),
                id: EventId::from_bits((*position).into()),
                name: EventName::SessionStatus,
                session: Some(SessionId::from_bits(*session)),
                sequence: *position,
                length: 100,
                body: (),
            };
            queue.push(key(*session), event);
        }
        queue.advance(at(until));
        queue
    }

    fn take(queue: &mut EventQueue<()>) -> Option<u64> {
        let (_, event) = queue.take_ready(true, |_| true)?;
        Some(event.position.number())
    }

    #[test]
    fn events_of_a_key_are_taken_one_after_the_other() {
        let mut queue = queue(&[(11, 1), (12, 1), (14, 2)], 20);
        assert_eq!(queue.settled(), at(10));
        assert_eq!(
            [take(&mut queue), take(&mut queue), take(&mut queue)],
            [Some(11), Some(14), None]
        );
        queue.settle_first(&key(2));
        assert_eq!((queue.settled(), take(&mut queue)), (at(10), None));
        assert_eq!(queue.settled_ahead(), 1);
        queue.settle_first(&key(1));
        assert_eq!((queue.settled(), take(&mut queue)), (at(11), Some(12)));
        assert_eq!(queue.settled_ahead(), 2);
        queue.stored(at(11));
        assert_eq!(queue.settled_ahead(), 1);
        queue.put_back(key(1));
        assert_eq!(take(&mut queue), Some(12));
        queue.settle_first(&key(1));
        assert!(queue.is_empty() && queue.bytes() == 0 && queue.settled_ahead() == 2);
        queue.stored(at(20));
        assert_eq!(queue.settled_ahead(), 0);
        assert_eq!(queue.settled(), at(20));
    }

    #[test]
    fn settled_key_leaves_no_event() {
        let mut queue = queue(&[(11, 1), (12, 2), (13, 1)], 13);
        assert_eq!(take(&mut queue), Some(11));
        assert_eq!(queue.settle_all(&key(1)), Some(at(13)));
        assert_eq!((queue.settled(), queue.bytes()), (at(11), 100));
        assert_eq!(queue.settled_ahead(), 0, "a retry queue covers the others");
        assert!(
            queue.has_ready(true, |_| true) && !queue.has_ready(true, |ready| *ready == key(1))
        );
        assert_eq!(queue.settle_all(&key(1)), None);
    }

    #[test]
    fn oldest_event_is_taken_first() {
        let mut queue = queue(&[(11, 1), (12, 2), (13, 3), (14, 1)], 20);
        let free = |free: u128| move |ready: &OrderingKey| *ready == key(free);
        assert!(queue.has_ready(true, free(2)) && !queue.has_ready(false, free(2)));
        assert_eq!((take(&mut queue), take(&mut queue)), (Some(11), Some(12)));
        queue.settle_first(&key(2));
        assert!(!queue.has_ready(false, |_| true), "the first event is in flight");
        queue.put_back(key(1));
        assert!(queue.has_ready(false, free(1)));
        assert_eq!([take(&mut queue), take(&mut queue)], [Some(11), Some(13)]);
        queue.settle_first(&key(3));
        queue.settle_first(&key(1));
        assert_eq!((take(&mut queue), queue.settled_ahead()), (Some(14), 3));
    }

    #[test]
    fn full_queue_has_no_room() {
        let events: Vec<_> = (11..266).map(|n| (n, u128::from(n))).collect();
        assert!(queue(&events, 300).has_room());
        let events: Vec<_> = (11..267).map(|n| (n, u128::from(n))).collect();
        assert!(!queue(&events, 300).has_room());
    }
}
