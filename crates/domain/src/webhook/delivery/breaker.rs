//! The circuit breaker: stops the attempts at a receiver that does not work, so that an outage costs
//! neither attempts of events nor requests.

use std::time::Duration;

use crate::{
    time::Timestamp,
    webhook::{
        attempt::{AttemptOutcome, OutcomeClass},
        delivery::retry_queue::OrderingKey,
        progress::Breaker,
    },
};

/// Number of failures in a row that opens the breaker.
const THRESHOLD: u32 = 5;
/// Time for which the breaker opens first; doubles with each failed test.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// Maximum time between two tests.
const MAX_PAUSE: Duration = Duration::from_secs(300);

/// What a failure says about the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blame {
    /// The receiver works and rejects the event.
    Event,
    /// The receiver may not work, or may not cope with the event.
    Unclear,
    /// No request reached the receiver: no event is at fault.
    Receiver,
}

impl Blame {
    pub(crate) fn of(outcome: &AttemptOutcome) -> Self {
        match outcome.class {
            OutcomeClass::Dns
            | OutcomeClass::Connect
            | OutcomeClass::Tls
            | OutcomeClass::Blocked => Self::Receiver,
            OutcomeClass::Timeout | OutcomeClass::Reset | OutcomeClass::TooManyRequests => {
                Self::Unclear
            }
            OutcomeClass::ServerError if matches!(outcome.status, Some(502..=504)) => Self::Unclear,
            OutcomeClass::ServerError
            | OutcomeClass::Success
            | OutcomeClass::Redirect
            | OutcomeClass::ClientError
            | OutcomeClass::Malformed => Self::Event,
        }
    }
}

/// The breaker of a leased webhook.
#[derive(Clone, Debug, Default)]
pub(crate) struct CircuitBreaker {
    state: Breaker,
    /// Failures in a row that do not blame an event.
    failures: u32,
    /// The first key that failed in this row, and whether another failed too.
    first_key: Option<OrderingKey>,
    several_keys: bool,
}

impl CircuitBreaker {
    pub(crate) fn new(state: Breaker) -> Self {
        Self { state, failures: state.unreached, ..Self::default() }
    }

    /// Returns the state to store.
    pub(crate) fn state(&self) -> Breaker {
        self.state
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state.open_until.is_some()
    }

    /// Returns whether an open breaker allows its test now.
    pub(crate) fn allows_test(&self, now: Timestamp) -> bool {
        self.state.open_until.is_some_and(|until| now >= until)
    }

    /// Closes the breaker; returns whether it was open.
    pub(crate) fn close(&mut self) -> bool {
        std::mem::take(self).is_open()
    }

    /// Takes a failure into account. `test` says whether the attempt tested an open breaker.
    pub(crate) fn fail(
        &mut self,
        outcome: &AttemptOutcome,
        key: &OrderingKey,
        test: bool,
        now: Timestamp,
    ) {
        let blame = Blame::of(outcome);
        if blame == Blame::Event {
            // The receiver works.
            self.close();
            return;
        }
        self.failures = self.failures.saturating_add(1);
        self.state.unreached =
            if blame == Blame::Receiver { self.state.unreached.saturating_add(1) } else { 0 };
        self.several_keys |= self.first_key.as_ref().is_some_and(|first| first != key);
        self.first_key.get_or_insert_with(|| key.clone());
        let spread = self.several_keys || self.state.unreached >= THRESHOLD;
        if test {
            self.state.step = self.state.step.saturating_add(1);
            self.open(self.pause(), now);
        } else if !self.is_open() && self.failures >= THRESHOLD && spread {
            self.open(self.pause(), now);
        }
        if let Some(asked) = outcome.retry_after.filter(|_| is_throttled(outcome)) {
            self.open(asked, now);
        }
    }

    /// Opens the breaker for a time, at least as long as it is open already.
    fn open(&mut self, pause: Duration, now: Timestamp) {
        self.state.open_until = self.state.open_until.max(Some(now.plus(pause)));
    }

    fn pause(&self) -> Duration {
        let factor = 1_u32.checked_shl(self.state.step).unwrap_or(u32::MAX);
        FIRST_PAUSE.saturating_mul(factor).min(MAX_PAUSE)
    }
}

/// Returns whether the receiver asks for a pause of all requests.
fn is_throttled(outcome: &AttemptOutcome) -> bool {
    matches!(outcome.status, Some(429 | 503))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{event::stream::EventStream, id::SessionId};

    fn outcome(class: OutcomeClass, status: Option<u16>, asked: Option<u64>) -> AttemptOutcome {
        AttemptOutcome {
            class,
            status,
            retry_after: asked.map(Duration::from_secs),
            excerpt: None,
            duration: Duration::ZERO,
            cause: None,
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1_000)
    }

    fn key(number: u128) -> OrderingKey {
        OrderingKey::Session(SessionId::from_bits(number), EventStream::Session)
    }

    const TIMEOUT: (OutcomeClass, Option<u16>) = (OutcomeClass::Timeout, None);
    const CONNECT: (OutcomeClass, Option<u16>) = (OutcomeClass::Connect, None);

    /// Returns the time until which the breaker is open after failures of these keys at time 0.
    fn after(class: (OutcomeClass, Option<u16>), keys: &[u128]) -> Option<Timestamp> {
        let mut breaker = CircuitBreaker::default();
        for number in keys {
            breaker.fail(&outcome(class.0, class.1, None), &key(*number), false, at(0));
        }
        breaker.state().open_until
    }

    #[test]
    fn five_failures_in_a_row_of_several_keys_open_the_breaker() {
        assert_eq!(after(TIMEOUT, &[1, 2, 3, 4]), None);
        assert_eq!(after(TIMEOUT, &[1, 1, 1, 1, 2]), Some(at(2)));
        assert_eq!(after(TIMEOUT, &[1; 20]), None, "one event may be the cause");
        assert_eq!(after(CONNECT, &[1; 5]), Some(at(2)), "no event can be the cause");
        assert_eq!(after(CONNECT, &[1; 4]), None);
        for status in [500, 501, 507] {
            assert_eq!(after((OutcomeClass::ServerError, Some(status)), &[1, 2, 3, 4, 5]), None);
        }
        for status in [502, 503, 504] {
            let open = after((OutcomeClass::ServerError, Some(status)), &[1, 2, 3, 4, 5]);
            assert_eq!(open, Some(at(2)), "{status}");
        }
    }

    #[test]
    fn failed_tests_double_the_pause_up_to_five_minutes() {
        let mut breaker = CircuitBreaker::default();
        let failure = outcome(OutcomeClass::Connect, None, None);
        let mut now = at(0);
        let mut pauses = Vec::new();
        for n in 0..15 {
            assert!(!breaker.allows_test(now) || n >= 5);
            breaker.fail(&failure, &key(1), n >= 5, now);
            if let Some(until) = breaker.state().open_until {
                assert!(!breaker.allows_test(until.minus(Duration::from_millis(1))));
                assert!(breaker.allows_test(until));
                pauses.push(now.until(until).as_secs());
                now = until;
            }
        }
        assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        assert!(breaker.close() && !breaker.is_open() && !breaker.close());
        assert_eq!(breaker.state(), Breaker::default());
    }

    #[test]
    fn rejected_event_shows_that_the_receiver_works() {
        let mut breaker =
            CircuitBreaker::new(Breaker { open_until: Some(at(0)), step: 3, unreached: 7 });
        let rejected = outcome(OutcomeClass::ClientError, Some(400), None);
        breaker.fail(&rejected, &key(1), true, at(1));
        assert_eq!(breaker.state(), Breaker::default());
    }

    #[test]
    fn throttled_receiver_pauses_all_attempts_for_the_time_that_it_asks_for() {
        for (status, class) in
            [(429, OutcomeClass::TooManyRequests), (503, OutcomeClass::ServerError)]
        {
            let mut breaker = CircuitBreaker::default();
            breaker.fail(&outcome(class, Some(status), Some(60)), &key(1), false, at(0));
            assert_eq!(
                breaker.state(),
                Breaker { open_until: Some(at(60)), step: 0, unreached: 0 }
            );
        }
        let mut breaker = CircuitBreaker::default();
        breaker.fail(
            &outcome(OutcomeClass::ServerError, Some(500), Some(60)),
            &key(1),
            false,
            at(0),
        );
        assert!(!breaker.is_open());
    }

    #[test]
    fn attempts_in_flight_do_not_lengthen_the_pause() {
        let mut breaker = CircuitBreaker::default();
        for number in 0..12 {
            breaker.fail(&outcome(OutcomeClass::Timeout, None, None), &key(number), false, at(0));
        }
        assert_eq!(breaker.state(), Breaker { open_until: Some(at(2)), step: 0, unreached: 0 });
    }

    #[test]
    fn failures_without_a_connection_count_over_leases() {
        let mut breaker = CircuitBreaker::default();
        for n in 1..=5 {
            breaker = CircuitBreaker::new(breaker.state());
            assert!(!breaker.is_open());
            breaker.fail(&outcome(OutcomeClass::Dns, None, None), &key(1), false, at(0));
            assert_eq!(breaker.state().unreached, n);
        }
        assert!(breaker.is_open());
    }
}
