//! A retry queue with the events of its key that are in memory.

use std::collections::VecDeque;

use crate::{
    feed::position::FeedPosition,
    time::Timestamp,
    webhook::delivery::{
        event_queue::QueuedEvent,
        lookup::{EventLookup, LookupRange},
        retry_queue::{OrderingKey, Pass, RetryQueue},
    },
};

/// Maximum number of later events that one look-up reads.
const PAGE: u32 = 32;

/// A retry queue of a leased webhook.
#[derive(Debug)]
pub(crate) struct RetryState<B> {
    /// The row. Its event is the head.
    pub(crate) row: RetryQueue,
    /// The head, unless it is settled or not loaded, and events behind it.
    events: VecDeque<QueuedEvent<B>>,
    /// Sequence number and position of the last event that was loaded or examined.
    examined: (u64, FeedPosition),
    /// Every event of the key up to here was examined.
    covered: FeedPosition,
    /// Last event of the key that the scan passed over.
    behind: FeedPosition,
    /// Whether a look-up is running.
    looking: bool,
}

/// What a retry queue does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetryStep {
    /// Nothing until the look-up ends.
    Wait,
    /// The events must be looked up.
    LookUp,
    /// The head can be attempted.
    Attempt,
    /// Nothing: every event is settled.
    End,
}

impl<B> RetryState<B> {
    /// Creates the state of a stored row. The scan passed over events up to `behind`.
    pub(crate) fn stored(row: RetryQueue, behind: FeedPosition) -> Self {
        let examined = (row.sequence, row.position);
        Self {
            covered: row.position,
            row,
            events: VecDeque::new(),
            examined,
            behind,
            looking: false,
        }
    }

    /// Records that the scan passed over an event.
    pub(crate) fn pass_over(&mut self, position: FeedPosition) {
        self.behind = self.behind.max(position);
    }

    pub(crate) fn step(&self) -> RetryStep {
        if self.looking {
            RetryStep::Wait
        } else if !self.events.is_empty() {
            RetryStep::Attempt
        } else if !self.row.settled || self.has_more() {
            RetryStep::LookUp
        } else {
            RetryStep::End
        }
    }

    /// Returns the head if it is loaded.
    pub(crate) fn head(&self) -> Option<&QueuedEvent<B>> {
        self.events.front().filter(|_| !self.row.settled)
    }

    fn has_more(&self) -> bool {
        self.covered < self.behind && !matches!(self.row.key, OrderingKey::Event(_))
    }

    /// Begins the look-up of the head, or of the events behind it.
    pub(crate) fn begin_lookup(&mut self) -> EventLookup {
        self.looking = true;
        let (sequence, after) = self.examined;
        let range = match &self.row.key {
            _ if !self.row.settled => LookupRange::Event(self.row.position),
            OrderingKey::Session(session, stream) => {
                LookupRange::Session { session: session.clone(), stream: *stream, after: sequence }
            }
            OrderingKey::Organization | OrderingKey::Event(_) => {
                LookupRange::Organization { after, until: self.behind }
            }
        };
        let key = self.row.key.clone();
        EventLookup { pass: self.row.pass, key, range, until: self.behind, limit: PAGE }
    }

    /// Ends a look-up that failed.
    pub(crate) fn fail_lookup(&mut self) {
        self.looking = false;
    }

    /// Takes the head. Returns false if retention removed it, which settles it.
    pub(crate) fn load_head(&mut self, found: Option<QueuedEvent<B>>) -> bool {
        self.looking = false;
        match found {
            Some(event) if event.id == self.row.event => {
                self.events.push_front(event);
                true
            }
            _ => {
                self.row.settled = true;
                false
            }
        }
    }

    /// Takes the events behind the head that a look-up found, of which `is_selected` picks some.
    /// The first of them becomes the head.
    pub(crate) fn load_behind(
        &mut self,
        lookup: &EventLookup,
        found: Vec<QueuedEvent<B>>,
        is_selected: impl Fn(&QueuedEvent<B>) -> bool,
        now: Timestamp,
    ) {
        self.looking = false;
        let complete = u32::try_from(found.len()).is_ok_and(|count| count < lookup.limit);
        let mut covered = if complete { lookup.until } else { FeedPosition::START };
        for event in found {
            covered = covered.max(event.position.min(lookup.until));
            // The scan takes later events itself.
            if event.position <= lookup.until {
                self.examined = (event.sequence, event.position);
                if is_selected(&event) {
                    self.events.push_back(event);
                }
            }
        }
        self.covered = self.covered.max(covered);
        self.advance(now);
    }

    /// Settles the head.
    pub(crate) fn settle(&mut self, now: Timestamp) {
        self.events.pop_front();
        self.row.settled = true;
        self.advance(now);
    }

    /// Makes the next event the head, due now.
    fn advance(&mut self, now: Timestamp) {
        // Without a next event, the queue is behind others that are due.
        (self.row.attempts, self.row.due) = (0, now);
        let Some(next) = self.events.front() else { return };
        self.row = RetryQueue {
            event: next.id.clone(),
            position: next.position,
            sequence: next.sequence,
            first_failed_at: now,
            settled: false,
            skip: false,
            ..self.row.clone()
        };
    }

    /// Forgets loaded events, which are looked up again when the queue is due.
    pub(crate) fn unload(&mut self) {
        if !self.row.settled {
            self.events.clear();
            self.examined = (self.row.sequence, self.row.position);
            self.covered = self.row.position;
        }
    }

    /// Returns the identity of the row.
    pub(crate) fn id(&self) -> (Pass, OrderingKey) {
        (self.row.pass, self.row.key.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::{payload::EventName, stream::EventStream},
        id::{EventId, SessionId},
        webhook::attempt::OutcomeClass,
    };

    fn session_events(after: u64) -> LookupRange {
        LookupRange::Session { session: session(), stream: EventStream::Session, after }
    }

    fn at(number: u64) -> FeedPosition {
        FeedPosition::from_number(number)
    }

    fn session() -> SessionId {
        SessionId::from_bits(1)
    }

    fn event(number: u64) -> QueuedEvent<()> {
        QueuedEvent {
            position: at(number * 10),
            id: EventId::from_bits(number.into()),
            name: EventName::SessionStatus,
            session: Some(session()),
            sequence: number,
            length: 5,
            body: (),
        }
    }

    fn now() -> Timestamp {
        Timestamp::from_millis(7)
    }

    /// The state of a stored queue whose head is event 3, at position 30.
    fn state(behind: u64) -> RetryState<()> {
        let row = RetryQueue {
            pass: Pass::Live,
            key: OrderingKey::Session(session(), EventStream::Session),
            event: event(3).id,
            position: at(30),
            sequence: 3,
            attempts: 4,
            due: Timestamp::from_millis(0),
            first_failed_at: Timestamp::from_millis(0),
            class: OutcomeClass::Timeout,
            status: None,
            settled: false,
            skip: true,
        };
        RetryState::stored(row, at(behind))
    }

    #[test]
    fn queue_catches_up_with_the_scan() {
        let mut state = state(60);
        let lookup = state.begin_lookup();
        assert_eq!((lookup.range, state.step()), (LookupRange::Event(at(30)), RetryStep::Wait));
        assert!(state.load_head(Some(event(3))));
        assert_eq!(state.head(), Some(&event(3)));
        state.settle(now());
        assert_eq!((state.head(), state.step()), (None, RetryStep::LookUp));

        let lookup = state.begin_lookup();
        let range = session_events(3);
        assert_eq!((&lookup.range, lookup.until), (&range, at(60)));
        state.pass_over(at(70));
        let found = [4, 5, 6, 7, 8].map(event).into();
        state.load_behind(&lookup, found, |event| event.sequence != 5, now());
        assert_eq!(state.head(), Some(&event(4)));
        let head = (state.row.sequence, state.row.attempts, state.row.due, state.row.skip);
        assert_eq!(head, (4, 0, now(), false));
        state.settle(now());
        assert_eq!(state.head(), Some(&event(6)));
        state.settle(now());
        assert_eq!(state.step(), RetryStep::LookUp, "event 7 was passed over since");

        let lookup = state.begin_lookup();
        assert_eq!(lookup.range, session_events(6));
        state.load_behind(&lookup, [7, 8].map(event).into(), |_| true, now());
        state.settle(now());
        assert_eq!(state.step(), RetryStep::End, "the scan gets event 8");
    }

    #[test]
    fn removed_head_is_settled() {
        let mut state = state(30);
        state.begin_lookup();
        assert!(!state.load_head(None));
        assert_eq!(state.step(), RetryStep::End);
    }

    #[test]
    fn full_page_is_followed_by_another_lookup() {
        let mut state = state(2_000);
        state.begin_lookup();
        state.load_head(Some(event(3)));
        state.settle(now());
        let lookup = state.begin_lookup();
        state.load_behind(&lookup, (4..36).map(event).collect(), |_| false, now());
        assert_eq!(state.step(), RetryStep::LookUp);
        let lookup = state.begin_lookup();
        assert_eq!(lookup.range, session_events(35));
        state.load_behind(&lookup, Vec::new(), |_| true, now());
        assert_eq!(state.step(), RetryStep::End);
    }

    #[test]
    fn unloaded_queue_begins_again_at_its_head() {
        let mut state = state(60);
        state.begin_lookup();
        state.load_head(Some(event(3)));
        state.settle(now());
        let lookup = state.begin_lookup();
        state.load_behind(&lookup, [4, 5, 6].map(event).into(), |_| true, now());
        assert_eq!(state.step(), RetryStep::Attempt);
        state.unload();
        assert_eq!(state.step(), RetryStep::LookUp);
        assert_eq!(state.begin_lookup().range, LookupRange::Event(at(40)));
        state.load_head(Some(event(4)));
        state.settle(now());
        assert_eq!(state.begin_lookup().range, session_events(4));
    }
}
