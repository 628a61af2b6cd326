//! The lease of a webhook as its holder sees it.

use std::time::Duration;

use domain::{LEASE, MIN_LEASE_FOR_ATTEMPT, RENEWAL_INTERVAL, Timestamp};
use tokio::time::Instant;

/// Time between two tries to renew a lease.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// A lease. The holder measures its end by the monotonic clock, from the time at which it sent the
/// claim or the renewal.
#[derive(Debug)]
pub(crate) struct HeldLease {
    /// The stored end.
    until: Timestamp,
    /// The end by the monotonic clock.
    ends: Instant,
    /// The renewal in flight.
    renewal: Option<(Timestamp, Instant)>,
    /// Time of the last try to renew the lease.
    tried_at: Instant,
}

impl HeldLease {
    /// Creates the lease of a claim that was sent at `sent` with the stored end `until`.
    pub(crate) fn new(until: Timestamp, sent: Instant) -> Self {
        Self { until, ends: sent + LEASE, renewal: None, tried_at: sent }
    }

    /// Returns whether an attempt that begins now ends within the lease.
    pub(crate) fn allows_attempt(&self) -> bool {
        self.remaining() >= MIN_LEASE_FOR_ATTEMPT
    }

    pub(crate) fn is_over(&self) -> bool {
        self.remaining().is_zero()
    }

    /// Returns the end of the lease by the monotonic clock.
    pub(crate) fn ends(&self) -> Instant {
        self.ends
    }

    fn remaining(&self) -> Duration {
        self.ends.saturating_duration_since(Instant::now())
    }

    /// Returns the time of the next renewal.
    pub(crate) fn renewal_due(&self) -> Instant {
        (self.ends - LEASE + RENEWAL_INTERVAL).max(self.tried_at + MIN_INTERVAL)
    }

    /// Begins a write under the lease; returns the end to store. A lease that is not due for a
    /// renewal keeps its end, so that the write changes no index. A clock that went back cannot
    /// renew a lease.
    pub(crate) fn begin_write(&mut self, now: Timestamp) -> Timestamp {
        let next = now.plus(LEASE);
        let is_due = Instant::now() >= self.renewal_due();
        if is_due {
            self.tried_at = Instant::now();
        }
        self.renewal = (is_due && next > self.until).then(|| (next, Instant::now()));
        self.renewal.map_or(self.until, |(until, _)| until)
    }

    /// Records that the write was stored.
    pub(crate) fn written(&mut self) {
        if let Some((until, sent)) = self.renewal.take() {
            (self.until, self.ends) = (until, sent + LEASE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn lease_ends_by_the_monotonic_clock() {
        let now = Timestamp::from_millis(1_000_000);
        let mut lease = HeldLease::new(now.plus(LEASE), Instant::now());
        assert_eq!(lease.begin_write(now), now.plus(LEASE), "not due for a renewal");
        lease.written();
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert!(lease.allows_attempt());
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(!lease.allows_attempt() && !lease.is_over());
        assert_eq!(lease.begin_write(now), now.plus(LEASE), "the clock stood still");
        lease.written();
        assert!(!lease.allows_attempt());
        tokio::time::sleep(MIN_INTERVAL).await;
        let later = now.plus(Duration::from_secs(10));
        assert_eq!(lease.begin_write(later), later.plus(LEASE));
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert!(!lease.allows_attempt(), "the renewal is not stored");
        lease.written();
        assert!(lease.allows_attempt());
        tokio::time::sleep(Duration::from_secs(27)).await;
        assert!(lease.is_over());
    }

    #[tokio::test(start_paused = true)]
    async fn frequent_writes_renew_the_lease() {
        let start = Timestamp::from_millis(1_000_000);
        let mut lease = HeldLease::new(start.plus(LEASE), Instant::now());
        for round in 0..600 {
            assert!(lease.allows_attempt(), "round {round}");
            lease.begin_write(start.plus(Duration::from_millis(100) * round));
            lease.written();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
