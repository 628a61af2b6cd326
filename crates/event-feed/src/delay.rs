//! The delay of the feed: how long an event has been stored that readers do not get.
//!
//! An open transaction of a writer holds back the events of later transactions (ADR 0037), and an
//! unreachable database all events.

use std::time::Duration;

use domain::FeedPosition;
use tokio::time::Instant;

/// Delay from which log lines report it.
const LONG_DELAY: Duration = Duration::from_secs(2);
/// Minimum time between two log lines of one delay.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(crate) struct Delay {
    waiting: Option<Waiting>,
    logged_at: Option<Instant>,
}

/// The newest position at a time when the feed had not reached it.
#[derive(Clone, Copy)]
struct Waiting {
    /// `None` while the database is unreachable: the newest position is unknown.
    newest: Option<FeedPosition>,
    since: Instant,
}

impl Delay {
    /// Records a read that reached a position of a database with this newest position.
    pub(crate) fn read(&mut self, reached: FeedPosition, newest: FeedPosition, now: Instant) {
        let is_over = |waiting: &Waiting| waiting.newest.is_none_or(|newest| newest <= reached);
        if self.waiting.as_ref().is_none_or(is_over) {
            self.waiting =
                (reached < newest).then_some(Waiting { newest: Some(newest), since: now });
        }
        self.report(now, "an open transaction holds back the event feed");
    }

    /// Records a failed read.
    pub(crate) fn store_failed(&mut self, now: Instant) {
        self.waiting.get_or_insert(Waiting { newest: None, since: now });
        self.report(now, "event feed waits for the database");
    }

    /// Forgets the delay: without subscribers, no event is waited for.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
        metrics::gauge!("berth_feed_behind_seconds").set(0.0);
    }

    /// Returns the delay.
    fn at(&self, now: Instant) -> Duration {
        self.waiting.map_or(Duration::ZERO, |waiting| now - waiting.since)
    }

    fn report(&mut self, now: Instant, message: &'static str) {
        let delay = self.at(now);
        metrics::gauge!("berth_feed_behind_seconds").set(delay.as_secs_f64());
        if delay <= LONG_DELAY {
            self.logged_at = None;
        } else if self.logged_at.is_none_or(|at| now - at >= LOG_INTERVAL) {
            self.logged_at = Some(now);
            let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(delay_ms, "{message}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delay_is_the_age_of_the_oldest_position_that_is_not_reached() {
        let (start, at) = (Instant::now(), FeedPosition::from_number);
        let after = |millis| start + Duration::from_millis(millis);
        let mut delay = Delay::default();
        delay.read(at(10), at(10), after(0));
        assert_eq!(delay.at(after(100)), Duration::ZERO);
        delay.read(at(10), at(12), after(1000));
        delay.read(at(11), at(20), after(2000));
        assert_eq!(delay.at(after(2000)), Duration::from_secs(1), "12 is not reached");
        // Writers are always active, and the feed follows.
        delay.read(at(19), at(25), after(2100));
        delay.read(at(26), at(30), after(2200));
        assert_eq!(delay.at(after(2250)), Duration::from_millis(50));
        delay.read(at(30), at(30), after(2300));
        assert_eq!(delay.at(after(9000)), Duration::ZERO);
    }

    #[test]
    fn delay_of_an_unreachable_database_grows_from_the_first_failure() {
        let (start, at) = (Instant::now(), FeedPosition::from_number);
        let after = |millis| start + Duration::from_millis(millis);
        let mut delay = Delay::default();
        delay.store_failed(after(0));
        delay.store_failed(after(500));
        assert_eq!(delay.at(after(700)), Duration::from_millis(700));
        delay.read(at(10), at(10), after(1000));
        assert_eq!(delay.at(after(1000)), Duration::ZERO);
    }
}
