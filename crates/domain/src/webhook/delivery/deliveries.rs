//! The deliveries of one leased webhook: which events are read, which attempts are made, and what is
//! stored. Every method is a pure function of the state and the arguments.
//!
//! Invariant: every event up to the stored position that the webhook gets was delivered, is a dead
//! letter, or is covered by a stored retry queue.

use std::collections::BTreeMap;

use crate::{
    feed::position::FeedPosition,
    time::Timestamp,
    webhook::{
        delivery::{
            breaker::CircuitBreaker,
            event_queue::{EventQueue, QueuedEvent},
            lease::LeasedWebhook,
            retry_queue::{OrderingKey, Pass},
            retry_state::RetryState,
            unflushed::Unflushed,
        },
        event_selection::EventSelection,
        model::Webhook,
        progress::{DeliveryProgress, SEALED},
        replay::Replay,
    },
};

/// Maximum number of retry queues of a pass. With more, no further events are read: the receiver is
/// as good as down.
pub const MAX_RETRY_QUEUES: usize = 1_000;

/// The deliveries of one leased webhook. `B` is the body of an event.
#[derive(Debug)]
pub struct Deliveries<B> {
    pub(super) webhook: Webhook,
    pub(super) selection: EventSelection,
    /// The progress as of the last flush, except counters and errors, which are up to date.
    pub(super) progress: DeliveryProgress,
    pub(super) live: EventQueue<B>,
    pub(super) replay: Option<ReplayPass<B>>,
    pub(super) retries: BTreeMap<(Pass, OrderingKey), RetryState<B>>,
    pub(super) in_flight: BTreeMap<OrderingKey, InFlight<B>>,
    pub(super) breaker: CircuitBreaker,
    pub(super) unflushed: Unflushed,
    /// What is being written.
    pub(super) flushing: Option<Unflushed>,
    /// Whether a secret cannot be opened, so that no attempt is made.
    pub(super) sealed: bool,
}

/// A replay with its events.
#[derive(Debug)]
pub(super) struct ReplayPass<B> {
    pub(super) replay: Replay,
    pub(super) queue: EventQueue<B>,
}

/// An attempt in flight.
#[derive(Debug)]
pub(super) struct InFlight<B> {
    pub(super) pass: Pass,
    /// The retry queue. `None` for a first attempt.
    pub(super) queue: Option<OrderingKey>,
    pub(super) event: QueuedEvent<B>,
    pub(super) number: u32,
    /// Whether the attempt tests an open circuit breaker.
    pub(super) test: bool,
    pub(super) at: Timestamp,
}

impl<B> ReplayPass<B> {
    fn new(replay: Replay) -> Self {
        Self { queue: EventQueue::new(replay.position), replay }
    }
}

impl<B: Clone> Deliveries<B> {
    /// Continues the deliveries where the stored progress ends.
    pub fn new(leased: LeasedWebhook, now: Timestamp) -> Self {
        let LeasedWebhook { webhook, progress, retries, .. } = leased;
        let replay = progress.replay.clone().map(ReplayPass::new);
        let replayed = progress.replay.as_ref().map(|replay| replay.position);
        let states = retries.into_iter().map(|row| {
            let behind = match row.pass {
                Pass::Live => progress.position,
                Pass::Replay => replayed.unwrap_or(row.position),
            };
            ((row.pass, row.key.clone()), RetryState::stored(row, behind))
        });
        let mut deliveries = Self {
            selection: webhook.event_selection(),
            live: EventQueue::new(progress.position),
            replay,
            retries: states.collect(),
            in_flight: BTreeMap::new(),
            breaker: CircuitBreaker::new(progress.breaker),
            unflushed: Unflushed::default(),
            flushing: None,
            sealed: progress.last_error.as_deref() == Some(SEALED),
            webhook,
            progress,
        };
        deliveries.resume(now);
        deliveries.finish_replay();
        deliveries
    }

    /// Takes changes of the owner into account.
    pub fn reload(&mut self, leased: LeasedWebhook, now: Timestamp) {
        self.webhook = leased.webhook;
        self.selection = self.webhook.event_selection();
        let known = |replay: &Replay| {
            [Some(&self.unflushed), self.flushing.as_ref()]
                .into_iter()
                .flatten()
                .any(|unflushed| unflushed.ended_replay == Some(replay.started_at))
        };
        if self.replay.is_none() {
            let new = leased.progress.replay.filter(|replay| !known(replay));
            self.replay = new.map(ReplayPass::new);
        }
        for row in leased.retries {
            let id = (row.pass, row.key.clone());
            let is_changing = self.unflushed.retries.contains(&id)
                || self.flushing.as_ref().is_some_and(|it| it.retries.contains(&id));
            match self.retries.get_mut(&id) {
                Some(state) => state.row.skip |= row.skip && state.row.event == row.event,
                None if is_changing => {}
                None => {
                    let behind = row.position;
                    self.retries.insert(id, RetryState::stored(row, behind));
                }
            }
        }
        self.resume(now);
        for id in self.retries.keys().cloned().collect::<Vec<_>>() {
            self.skip_if_marked(&id, now);
        }
        self.finish_replay();
    }

    /// Closes the circuit breaker if the owner resumed the deliveries.
    fn resume(&mut self, now: Timestamp) {
        let resumed_at = self.webhook.resumed_at;
        if resumed_at <= self.progress.resumed_at {
            return;
        }
        self.progress.resumed_at = resumed_at;
        self.progress.failing_since = None;
        self.progress.failures = 0;
        self.breaker = CircuitBreaker::default();
        self.unflushed.progress = true;
        self.make_retries_due(now);
    }

    pub(super) fn make_retries_due(&mut self, now: Timestamp) {
        for (id, state) in &mut self.retries {
            if state.row.due > now {
                state.row.due = now;
                self.unflushed.retries.insert(id.clone());
            }
        }
    }

    /// Returns the webhook.
    pub fn webhook(&self) -> &Webhook {
        &self.webhook
    }

    /// Returns the replay in progress.
    pub fn replay(&self) -> Option<&Replay> {
        self.replay.as_ref().map(|pass| &pass.replay)
    }

    /// Returns the position up to which a pass has read events.
    pub fn scanned(&self, pass: Pass) -> Option<FeedPosition> {
        self.queue(pass).map(EventQueue::scanned)
    }

    /// Returns the number of bytes of events that wait in memory for their first attempt.
    pub fn bytes(&self) -> usize {
        self.live.bytes() + self.replay.as_ref().map_or(0, |pass| pass.queue.bytes())
    }

    /// Returns the creation time of the oldest new event in memory or in a retry queue that is
    /// neither delivered nor a dead letter.
    pub fn oldest_undelivered(&self) -> Option<Timestamp> {
        let of_live = self.retries.iter().filter(|((pass, _), _)| *pass == Pass::Live);
        let failing = of_live.filter(|(_, state)| !state.row.settled);
        let failing = failing.map(|(_, state)| state.row.event.created_at()).min();
        let waiting = self.live.first().map(|event| event.id.created_at());
        failing.into_iter().chain(waiting).min()
    }

    /// Returns the number of retry queues.
    pub fn retry_queues(&self) -> usize {
        self.retries.values().filter(|state| !state.row.settled).count()
    }

    /// Returns whether the circuit breaker is open.
    pub fn is_failing(&self) -> bool {
        self.breaker.is_open()
    }

    /// Returns whether a secret cannot be opened.
    pub fn is_sealed(&self) -> bool {
        self.sealed
    }

    /// Returns whether attempts may be made at all.
    pub fn is_live(&self) -> bool {
        let disables = |unflushed: &Unflushed| unflushed.disable.is_some();
        self.webhook.is_live()
            && !self.sealed
            && !disables(&self.unflushed)
            && !self.flushing.as_ref().is_some_and(disables)
    }

    pub(super) fn queue(&self, pass: Pass) -> Option<&EventQueue<B>> {
        match pass {
            Pass::Live => Some(&self.live),
            Pass::Replay => self.replay.as_ref().map(|pass| &pass.queue),
        }
    }

    pub(super) fn queue_mut(&mut self, pass: Pass) -> Option<&mut EventQueue<B>> {
        match pass {
            Pass::Live => Some(&mut self.live),
            Pass::Replay => self.replay.as_mut().map(|pass| &mut pass.queue),
        }
    }

    /// Ends the replay when all its events are settled. Single dead letters, which wait in retry
    /// queues of their own, are no part of it.
    pub(super) fn finish_replay(&mut self) {
        if self.replay.is_none() {
            return;
        }
        self.remove_all_ended();
        let Some(pass) = &self.replay else { return };
        let waits = |(of, key): &(Pass, OrderingKey)| {
            *of == Pass::Replay && !matches!(key, OrderingKey::Event(_))
        };
        if pass.queue.scanned() >= pass.replay.until
            && pass.queue.is_empty()
            && !self.retries.keys().any(waits)
        {
            self.unflushed.ended_replay = Some(pass.replay.started_at);
            self.replay = None;
        }
    }
}
