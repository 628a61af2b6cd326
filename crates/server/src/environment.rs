//! The world as the domain sees it: the real clock, real randomness, and bells.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use domain::{
    Timestamp,
    ports::{Bell, Environment},
};
use tokio::sync::Notify;
use ulid::Ulid;

/// The machine's clock and random source.
#[derive(Debug, Default)]
pub(crate) struct Machine {
    /// The newest name given out.
    newest: Mutex<u128>,
}

impl Environment for Machine {
    #[expect(clippy::disallowed_methods, reason = "this is the port's one real clock")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let millis = since.map_or(0, |since| since.as_millis());
        Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
    }

    /// A clock that is set back, or two names in a millisecond, count on from the newest name.
    fn ulid(&self) -> u128 {
        let millis = u64::try_from(self.now().millis()).unwrap_or(0);
        let fresh = Ulid::from_parts(millis, rand::random()).0;
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        *newest = fresh.max(newest.saturating_add(1));
        *newest
    }
}

/// Wakes whoever waits. A ring that finds nobody waiting wakes the next one to wait, so that the
/// only waiter of a bell misses nothing; of several, those that were not waiting look again when
/// their own time is up.
#[derive(Debug, Default)]
pub(crate) struct NotifyBell {
    notify: Notify,
    waiting: AtomicUsize,
}

#[async_trait]
impl Bell for NotifyBell {
    fn ring(&self) {
        if self.waiting.load(Ordering::SeqCst) == 0 {
            self.notify.notify_one();
        } else {
            self.notify.notify_waiters();
        }
    }

    async fn wait(&self, at_most: Duration) {
        // Made before it is counted: from here on it hears every ring of either kind.
        let rung = self.notify.notified();
        let _counted = Counted::new(&self.waiting);
        // Which of the two it was does not matter.
        let _ = tokio::time::timeout(at_most, rung).await;
    }
}

/// One that waits, for as long as it does.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// Longer than any test lives: who waits this long heard nothing.
    const FOREVER: Duration = Duration::from_secs(3600);
    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn names_grow_whatever_the_clock_does() {
        let machine = Machine::default();
        let first = machine.ulid();
        // As if the clock had been a century ahead and was set back.
        let ahead = first + (3_000_000_000_000_u128 << 80);
        *machine.newest.lock().unwrap() = ahead;
        let names: Vec<_> = (0..1000).map(|_| machine.ulid()).collect();
        assert!(names[0] > ahead && names.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn a_name_tells_when_it_was_made() {
        let machine = Machine::default();
        let (before, ulid, after) = (machine.now(), Ulid(machine.ulid()), machine.now());
        let at = i64::try_from(ulid.timestamp_ms()).unwrap();
        assert!((before.millis()..=after.millis()).contains(&at));
    }

    #[tokio::test]
    async fn a_ring_wakes_everybody_who_waits() {
        let bell = Arc::new(NotifyBell::default());
        let waiters: Vec<_> = (0..5)
            .map(|_| {
                let bell = bell.clone();
                tokio::spawn(async move { bell.wait(FOREVER).await })
            })
            .collect();
        while bell.waiting.load(Ordering::SeqCst) < 5 {
            tokio::task::yield_now().await;
        }
        bell.ring();
        for waiter in waiters {
            tokio::time::timeout(PATIENCE, waiter).await.expect("still waiting").unwrap();
        }
        assert_eq!(bell.waiting.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn a_ring_while_its_only_waiter_looks_elsewhere_is_kept() {
        let bell = NotifyBell::default();
        for _ in 0..3 {
            bell.ring();
            bell.ring();
            tokio::time::timeout(PATIENCE, bell.wait(FOREVER)).await.expect("the ring was lost");
        }
    }

    #[tokio::test]
    async fn a_wait_ends_by_itself_and_leaves_nobody_counted() {
        let bell = NotifyBell::default();
        bell.wait(Duration::from_millis(5)).await;
        assert_eq!(bell.waiting.load(Ordering::SeqCst), 0);
        // One given up from outside, too.
        let given_up = tokio::time::timeout(Duration::from_millis(5), bell.wait(FOREVER)).await;
        assert!(given_up.is_err());
        assert_eq!(bell.waiting.load(Ordering::SeqCst), 0);
    }
}
