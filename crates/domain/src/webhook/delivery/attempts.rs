//! Attempts: which is made next, and what follows from its outcome.

use std::time::Duration;

use crate::{
    id::AttemptId,
    time::Timestamp,
    webhook::{
        attempt::{AttemptOutcome, AttemptRecord},
        dead_letter::DeadLetter,
        delivery::{
            breaker::Blame,
            deliveries::{Deliveries, InFlight},
            event_queue::QueuedEvent,
            retry_queue::{OrderingKey, Pass, RetryQueue},
            retry_state::{RetryState, RetryStep},
        },
        disabled_reason::DisabledReason,
        retry_policy::Jitter,
    },
};

/// Maximum number of concurrent attempts at a webhook.
pub const MAX_IN_FLIGHT: usize = 8;
/// Maximum number of attempts of a webhook that a crash repeats.
pub const MAX_AT_RISK: usize = 256;
/// Part of [`MAX_AT_RISK`] for the first unsettled event of each pass, so that the positions move.
const RESERVED: usize = 64;
/// Time without a success after which a webhook is disabled.
const MAX_FAILING: Duration = Duration::from_secs(5 * 24 * 60 * 60);
/// Number of failures without a success before which a webhook is not disabled.
const MIN_FAILURES: u32 = 15;

/// The kinds of attempts, which have separate shares of the router's concurrency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttemptKind {
    /// The first attempt at a new event.
    First,
    /// A retry, or an attempt of a replay.
    Repeat,
}

/// An attempt that begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartedAttempt<B> {
    /// Identifies the attempt in flight.
    pub key: OrderingKey,
    /// The event.
    pub event: QueuedEvent<B>,
    /// Number of the attempt of the event, from 1.
    pub number: u32,
    /// Whether a replay causes the attempt.
    pub replay: bool,
}

/// An event whose attempt failed.
struct Failed<B> {
    key: OrderingKey,
    flight: InFlight<B>,
    /// Attempts that count, with this one.
    attempts: u32,
    outcome: AttemptOutcome,
    now: Timestamp,
}

impl<B: Clone> Deliveries<B> {
    /// Returns whether an attempt of this kind can begin.
    pub fn wants_attempt(&self, kind: AttemptKind, now: Timestamp) -> bool {
        let is_free = |key: &OrderingKey| !self.in_flight.contains_key(key);
        // The test of an open breaker is a retry, if there is one.
        let may_begin = !self.breaker.is_open() || !self.has_retries();
        let has_room = self.has_room_for_all();
        self.has_capacity(now)
            && match kind {
                AttemptKind::First => may_begin && self.live.has_ready(has_room, is_free),
                AttemptKind::Repeat => {
                    let replay = self.replay.as_ref().filter(|_| may_begin);
                    (has_room && self.next_retry(now).is_some())
                        || replay.is_some_and(|pass| pass.queue.has_ready(has_room, is_free))
                }
            }
    }

    fn has_capacity(&self, now: Timestamp) -> bool {
        let limit = match (self.breaker.is_open(), self.breaker.allows_test(now)) {
            (false, _) => MAX_IN_FLIGHT,
            (true, tests) => usize::from(tests),
        };
        self.is_live() && self.in_flight.len() < limit && self.at_risk() < MAX_AT_RISK
    }

    /// Returns whether attempts may begin that do not move a position.
    fn has_room_for_all(&self) -> bool {
        self.at_risk() < MAX_AT_RISK - RESERVED
    }

    /// Returns the retry queue whose head is attempted next: the one that is due the longest.
    fn next_retry(&self, now: Timestamp) -> Option<(Pass, OrderingKey)> {
        let is_open = self.breaker.is_open();
        let ready = self.retries.iter().filter(|((_, key), state)| {
            state.step() == RetryStep::Attempt
                && (is_open || state.row.is_due(now))
                && !self.in_flight.contains_key(key)
        });
        ready.min_by_key(|(_, state)| state.row.due).map(|(id, _)| id.clone())
    }

    /// Begins an attempt of this kind. `None` if none can begin.
    pub fn start(&mut self, kind: AttemptKind, now: Timestamp) -> Option<StartedAttempt<B>> {
        if !self.wants_attempt(kind, now) {
            return None;
        }
        let has_room = self.has_room_for_all();
        let (pass, key, queue, event, number) = match kind {
            AttemptKind::First => self.take_first(Pass::Live)?,
            AttemptKind::Repeat => match self.next_retry(now).filter(|_| has_room) {
                Some((pass, key)) => {
                    let state = self.retries.get(&(pass, key.clone()))?;
                    let event = state.head()?.clone();
                    (pass, key.clone(), Some(key), event, state.row.attempts + 1)
                }
                None => self.take_first(Pass::Replay)?,
            },
        };
        let test = self.breaker.is_open();
        let flight = InFlight { pass, queue, event: event.clone(), number, test, at: now };
        self.in_flight.insert(key.clone(), flight);
        Some(StartedAttempt { key, event, number, replay: pass == Pass::Replay })
    }

    #[expect(clippy::type_complexity, reason = "one caller takes the parts apart")]
    fn take_first(
        &mut self,
        pass: Pass,
    ) -> Option<(Pass, OrderingKey, Option<OrderingKey>, QueuedEvent<B>, u32)> {
        let has_room = self.has_room_for_all();
        let in_flight = &self.in_flight;
        let queue = match pass {
            Pass::Live => &mut self.live,
            Pass::Replay => &mut self.replay.as_mut()?.queue,
        };
        let (key, event) = queue.take_ready(has_room, |key| !in_flight.contains_key(key))?;
        Some((pass, key, None, event, 1))
    }

    /// Forgets an attempt that was not made.
    pub fn abandon(&mut self, key: &OrderingKey) {
        if let Some(flight) = self.in_flight.remove(key)
            && flight.queue.is_none()
            && let Some(queue) = self.queue_mut(flight.pass)
        {
            queue.put_back(key.clone());
        }
    }

    /// Takes the outcome of an attempt.
    pub fn complete(
        &mut self,
        key: &OrderingKey,
        id: AttemptId,
        outcome: AttemptOutcome,
        now: Timestamp,
        jitter: Jitter,
    ) {
        let Some(flight) = self.in_flight.remove(key) else { return };
        self.unflushed.progress = true;
        let is_first = flight.queue.is_none() && outcome.is_success();
        self.unflushed.repeats += usize::from(!is_first);
        self.unflushed.attempts.push(AttemptRecord {
            id,
            event: flight.event.id.clone(),
            number: flight.number,
            replay: flight.pass == Pass::Replay,
            at: flight.at,
            duration: outcome.duration,
            class: outcome.class,
            status: outcome.status,
            excerpt: outcome.excerpt.clone(),
        });
        let queue = flight.queue.clone().map(|queue| (flight.pass, queue));
        if outcome.is_success() {
            self.succeed(key, &flight, now);
        } else {
            self.fail(key.clone(), flight, outcome, now, jitter);
        }
        if let Some(queue) = queue {
            self.skip_if_marked(&queue, now);
        }
        self.finish_replay();
    }

    fn succeed(&mut self, key: &OrderingKey, flight: &InFlight<B>, now: Timestamp) {
        self.progress.delivered += 1;
        self.progress.failing_since = None;
        self.progress.failures = 0;
        self.progress.succeeded_at = Some(now);
        self.progress.last_error = None;
        if self.breaker.close() {
            self.make_retries_due(now);
        }
        if flight.pass == Pass::Replay {
            self.unflushed.replayed.push((flight.event.id.clone(), now));
        }
        self.settle(key, flight, now);
    }

    fn settle(&mut self, key: &OrderingKey, flight: &InFlight<B>, now: Timestamp) {
        let Some(queue) = &flight.queue else {
            if let Some(queue) = self.queue_mut(flight.pass) {
                queue.settle_first(key);
            }
            return;
        };
        let id = (flight.pass, queue.clone());
        if let Some(state) = self.retries.get_mut(&id) {
            state.settle(now);
            self.unflushed.retries.insert(id.clone());
        }
        self.remove_ended(&id);
    }

    fn fail(
        &mut self,
        key: OrderingKey,
        flight: InFlight<B>,
        outcome: AttemptOutcome,
        now: Timestamp,
        jitter: Jitter,
    ) {
        self.progress.failed += 1;
        self.progress.failures = self.progress.failures.saturating_add(1);
        self.progress.last_error = Some(outcome.class.as_str().to_owned());
        let failing_since = *self.progress.failing_since.get_or_insert(now);
        let was_open = self.breaker.is_open();
        self.breaker.fail(&outcome, &key, flight.test && was_open, now);
        if was_open && !self.breaker.is_open() {
            self.make_retries_due(now);
        }
        if outcome.status == Some(410) {
            self.unflushed.disable = Some((DisabledReason::Gone, self.webhook.version));
        } else if self.progress.failures >= MIN_FAILURES && failing_since.until(now) >= MAX_FAILING
        {
            self.unflushed.disable = Some((DisabledReason::Failing, self.webhook.version));
        }
        // An event pays neither for an outage nor for the tests during it.
        let counts = !flight.test || Blame::of(&outcome) == Blame::Event;
        let attempts = flight.number - u32::from(!counts);
        let policy = self.webhook.settings.retry_policy;
        let due = if counts {
            now.plus(policy.delay(attempts, outcome.retry_after, jitter))
        } else {
            now
        };
        let failed = Failed { key, flight, attempts, outcome, now };
        if counts && attempts >= policy.attempts {
            self.bury(failed);
        } else {
            self.retry(failed, due);
        }
    }

    /// Turns an event into a dead letter.
    fn bury(&mut self, failed: Failed<B>) {
        let Failed { key, flight, attempts, outcome, now } = failed;
        let id = flight.queue.clone().map(|queue| (flight.pass, queue));
        let known = id.and_then(|id| self.retries.get(&id));
        self.progress.dead += 1;
        self.unflushed.dead_letters.push(DeadLetter {
            event: flight.event.id.clone(),
            session: flight.event.session.clone(),
            position: flight.event.position,
            attempts,
            first_failed_at: known.map_or(now, |state| state.row.first_failed_at),
            died_at: now,
            class: outcome.class,
            status: outcome.status,
            replayed_at: None,
        });
        self.settle(&key, &flight, now);
    }

    /// Puts an event at the head of a retry queue.
    fn retry(&mut self, failed: Failed<B>, due: Timestamp) {
        let Failed { key, flight, attempts, outcome, now } = failed;
        let (class, status) = (outcome.class, outcome.status);
        if let Some(queue) = flight.queue {
            let id = (flight.pass, queue);
            if let Some(state) = self.retries.get_mut(&id) {
                state.row = RetryQueue { attempts, due, class, status, ..state.row.clone() };
                state.unload();
                self.unflushed.retries.insert(id);
            }
            return;
        }
        let event = flight.event;
        // A replayed dead letter stands alone: the other events of its session were delivered.
        let is_dead = flight.pass == Pass::Replay
            && self.replay.as_ref().is_some_and(|pass| pass.replay.dead_only);
        let (of, behind) = match (self.queue_mut(flight.pass), is_dead) {
            (Some(queue), true) => {
                queue.settle_first(&key);
                (OrderingKey::Event(event.id.clone()), None)
            }
            (Some(queue), false) => {
                let behind = queue.settle_all(&key);
                (key, behind)
            }
            (None, _) => return,
        };
        let row = RetryQueue {
            pass: flight.pass,
            key: of,
            event: event.id.clone(),
            position: event.position,
            sequence: event.sequence,
            attempts,
            due,
            first_failed_at: now,
            class,
            status,
            settled: false,
            skip: false,
        };
        let behind = behind.unwrap_or(event.position);
        let state = RetryState::stored(row, behind);
        self.unflushed.retries.insert(state.id());
        self.retries.insert(state.id(), state);
    }

    /// Turns the head of a retry queue into a dead letter, if its owner skips it.
    pub(super) fn skip_if_marked(&mut self, id: &(Pass, OrderingKey), now: Timestamp) {
        let Some(state) = self.retries.get_mut(id) else { return };
        let row = &state.row;
        let Some(event) = state.head().filter(|_| row.skip) else { return };
        if self.in_flight.contains_key(&id.1) {
            return;
        }
        self.progress.dead += 1;
        self.unflushed.dead_letters.push(DeadLetter {
            event: row.event.clone(),
            session: event.session.clone(),
            position: row.position,
            attempts: row.attempts,
            first_failed_at: row.first_failed_at,
            died_at: now,
            class: row.class,
            status: row.status,
            replayed_at: None,
        });
        state.settle(now);
        self.unflushed.retries.insert(id.clone());
        self.remove_ended(id);
    }
}
