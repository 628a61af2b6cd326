//! Reading of events: which are read, and where they wait.

use crate::{
    feed::position::FeedPosition,
    time::Timestamp,
    webhook::delivery::{
        deliveries::{Deliveries, MAX_RETRY_QUEUES},
        event_queue::{EventQueue, QueuedEvent},
        lookup::{EventLookup, LookupRange},
        retry_queue::{OrderingKey, Pass},
        retry_state::{RetryState, RetryStep},
    },
};

/// Maximum number of retry queues with events in memory.
const MAX_LOADED: usize = 16;

impl<B: Clone> Deliveries<B> {
    /// Returns whether events of a pass are to be read now.
    pub fn wants_events(&self, pass: Pass, now: Timestamp) -> bool {
        let Some(queue) = self.queue(pass) else { return false };
        let is_over = pass == Pass::Replay
            && self.replay().is_some_and(|replay| queue.scanned() >= replay.until);
        let may_read = if self.breaker.is_open() {
            // The test needs an event.
            self.breaker.allows_test(now) && !self.has_retries() && queue.is_empty()
        } else {
            queue.has_room() && self.retry_queues_of(pass) < MAX_RETRY_QUEUES
        };
        self.is_live() && !is_over && may_read
    }

    fn retry_queues_of(&self, pass: Pass) -> usize {
        self.retries.keys().filter(|(of, _)| *of == pass).count()
    }

    /// Takes the events that follow the scanned position, up to `until`.
    pub fn take_events(&mut self, pass: Pass, events: Vec<QueuedEvent<B>>, until: FeedPosition) {
        for event in events {
            if self.queue(pass).is_some_and(|queue| event.position > queue.scanned())
                && self.is_selected(pass, &event)
            {
                self.take_event(pass, event);
            }
        }
        if let Some(queue) = self.queue_mut(pass) {
            queue.advance(until);
        }
        self.finish_replay();
    }

    fn is_selected(&self, pass: Pass, event: &QueuedEvent<B>) -> bool {
        self.selection.includes(event.name, event.session.as_ref())
            && (pass == Pass::Live
                || self.replay().is_some_and(|replay| replay.includes(&event.id)))
    }

    fn take_event(&mut self, pass: Pass, event: QueuedEvent<B>) {
        // A retry queue covers its session also after the owner gave up the order.
        let (session, stream) = (event.session.as_ref(), event.name.stream());
        let in_order = OrderingKey::of(true, session, stream, &event.id);
        for key in [in_order, OrderingKey::Event(event.id.clone())] {
            if let Some(state) = self.retries.get_mut(&(pass, key)) {
                state.pass_over(event.position);
                return;
            }
        }
        let ordered = self.webhook.settings.ordered;
        let key = OrderingKey::of(ordered, session, stream, &event.id);
        if let Some(queue) = self.queue_mut(pass) {
            queue.push(key, event);
        }
    }

    /// Continues after events that retention removed.
    pub fn skip_removed(&mut self, pass: Pass, floor: FeedPosition) {
        if let Some(queue) = self.queue_mut(pass) {
            queue.advance(floor);
        }
        self.count_gap();
        self.finish_replay();
    }

    fn count_gap(&mut self) {
        self.unflushed.gaps += 1;
        self.progress.gaps += 1;
    }

    /// Begins the next look-up, if one is needed now.
    pub fn next_lookup(&mut self, now: Timestamp) -> Option<EventLookup> {
        let is_open = self.breaker.is_open();
        let loaded = self
            .retries
            .values()
            .filter(|state| matches!(state.step(), RetryStep::Wait | RetryStep::Attempt));
        let room = if is_open { 1 } else { MAX_LOADED };
        let has_room = self.is_live()
            && loaded.take(room).count() < room
            && (!is_open || self.breaker.allows_test(now) && self.in_flight.is_empty());
        let due = self.retries.iter().filter(|((_, key), state)| {
            state.step() == RetryStep::LookUp
                && !self.in_flight.contains_key(key)
                && (state.row.skip || has_room && (is_open || state.row.is_due(now)))
        });
        let first = due.min_by_key(|(_, state)| (!state.row.skip, state.row.due));
        let id = first.map(|(id, _)| id.clone())?;
        self.retries.get_mut(&id).map(RetryState::begin_lookup)
    }

    /// Takes the result of a look-up. `None` for a look-up that failed.
    pub fn end_lookup(
        &mut self,
        lookup: &EventLookup,
        found: Option<Vec<QueuedEvent<B>>>,
        now: Timestamp,
    ) {
        let id = (lookup.pass, lookup.key.clone());
        let (selection, replay) = (&self.selection, self.replay.as_ref());
        let Some(state) = self.retries.get_mut(&id) else { return };
        let Some(found) = found else {
            state.fail_lookup();
            return;
        };
        if matches!(lookup.range, LookupRange::Event(_)) {
            if !state.load_head(found.into_iter().next()) {
                self.unflushed.retries.insert(id.clone());
                self.count_gap();
            }
        } else {
            let is_selected = |event: &QueuedEvent<B>| {
                selection.includes(event.name, event.session.as_ref())
                    && (lookup.pass == Pass::Live
                        || replay.is_some_and(|pass| pass.replay.includes(&event.id)))
            };
            state.load_behind(lookup, found, is_selected, now);
            self.unflushed.retries.insert(id.clone());
        }
        self.remove_ended(&id);
        self.skip_if_marked(&id, now);
        self.finish_replay();
    }

    /// Returns whether an event of a retry queue is not settled.
    pub(super) fn has_retries(&self) -> bool {
        self.retries.values().any(|state| state.step() != RetryStep::End)
    }

    /// Removes a retry queue whose events are all settled, when the position has passed them: a router
    /// that begins at the position must not deliver them again.
    pub(super) fn remove_ended(&mut self, id: &(Pass, OrderingKey)) {
        let Some(state) = self.retries.get(id) else { return };
        let stands_alone = id.0 == Pass::Replay && matches!(id.1, OrderingKey::Event(_));
        let has_passed = |queue: &EventQueue<B>| queue.settled() >= state.row.position;
        if state.step() == RetryStep::End
            && (stands_alone || self.queue(id.0).is_none_or(has_passed))
        {
            self.retries.remove(id);
            self.unflushed.retries.insert(id.clone());
        }
    }

    /// Removes all retry queues whose events are settled and passed.
    pub(super) fn remove_all_ended(&mut self) {
        let is_settled = |state: &RetryState<B>| state.step() == RetryStep::End;
        let settled = self.retries.iter().filter(|(_, state)| is_settled(state));
        for id in settled.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            self.remove_ended(&id);
        }
    }
}
