//! Rate quotas: limits on the number of calls per time window.

use std::time::Duration;

use crate::time::Timestamp;

/// A maximum number of calls per time window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateQuota {
    /// Name of the quota, as callers see it.
    pub name: &'static str,
    /// Maximum number of calls in the window.
    pub count: u32,
    /// Length of the window.
    pub window: Duration,
}

/// Maximum difference by which the clock of another router may be ahead. Later times were recorded
/// before a clock was set back; they are ignored, so that they lock no caller out.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

impl RateQuota {
    /// Returns the start of the window (exclusive). Calls up to [`Self::until`] count.
    pub fn since(&self, now: Timestamp) -> Timestamp {
        now.minus(self.window)
    }

    /// Returns the end of the window (inclusive): now plus the clock skew.
    pub fn until(now: Timestamp) -> Timestamp {
        now.plus(CLOCK_SKEW)
    }

    /// Returns the time until the window no longer contains `earliest`, the first of the calls that
    /// fill the quota.
    pub fn wait(&self, earliest: Timestamp, now: Timestamp) -> Duration {
        self.window.saturating_sub(earliest.until(now))
    }

    /// Checks if one more call is allowed after the calls at the times `earlier`.
    ///
    /// # Errors
    /// The time until the next call is allowed.
    pub fn admit(&self, earlier: &[Timestamp], now: Timestamp) -> Result<(), Duration> {
        let (since, until) = (self.since(now), Self::until(now));
        let counts = |at: &Timestamp| *at > since && *at <= until;
        let mut counted: Vec<_> = earlier.iter().copied().filter(counts).collect();
        counted.sort();
        let most = usize::try_from(self.count).unwrap_or(usize::MAX);
        match counted.len().checked_sub(most).and_then(|first| counted.get(first)) {
            Some(earliest) => Err(self.wait(*earliest, now)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1000)
    }

    fn rate_quota(count: u32) -> RateQuota {
        RateQuota { name: "test", count, window: Duration::from_secs(10) }
    }

    #[test]
    fn calls_over_the_quota_get_the_remaining_wait() {
        let earlier = [at(0), at(4), at(5)];
        assert_eq!(rate_quota(3).admit(&earlier[..2], at(5)), Ok(()));
        assert_eq!(rate_quota(3).admit(&earlier, at(6)), Err(Duration::from_secs(4)));
        assert_eq!(rate_quota(3).admit(&earlier, at(9)), Err(Duration::from_secs(1)));
        assert_eq!(rate_quota(3).admit(&earlier, at(10)), Ok(()));
    }

    #[test]
    fn far_future_times_are_ignored_and_skewed_times_count() {
        assert_eq!(rate_quota(1).admit(&[at(1_000_000)], at(5)), Ok(()));
        assert_eq!(rate_quota(1).admit(&[at(7)], at(5)), Err(Duration::from_secs(10)));
    }

    #[test]
    fn lowered_quota_counts_earlier_calls() {
        let earlier = [at(3), at(0), at(2), at(1)];
        assert_eq!(rate_quota(2).admit(&earlier, at(4)), Err(Duration::from_secs(8)));
    }
}
