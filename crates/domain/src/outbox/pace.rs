//! The pace of a session: how many messages may be handed over now.

use std::time::Duration;

use crate::{
    rate_quota::RateQuota,
    session::settings::{DEFAULT_RATE_PER_HOUR, DEFAULT_RATE_PER_MIN, Settings},
    time::Timestamp,
};

/// Length of the window of `ratePerMin`.
const MINUTE: Duration = Duration::from_secs(60);
/// Length of the window of `ratePerHour`.
const HOUR: Duration = Duration::from_secs(3600);

/// Past hand-overs of a session within a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HandOverTimes {
    /// Number of hand-overs within the window.
    pub count: u64,
    /// Time of the `nth` newest of them. `None` if there are fewer.
    pub nth_newest: Option<Timestamp>,
}

/// The rate quotas of a session. A missing one sets no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PaceQuotas(pub(crate) [Option<RateQuota>; 2]);

impl PaceQuotas {
    /// Returns the quotas of these settings.
    pub(crate) fn of(settings: &Settings) -> Self {
        let quota = |name, rate: Option<u32>, default, window| match rate.unwrap_or(default) {
            0 => None,
            count => Some(RateQuota { name, count, window }),
        };
        Self([
            quota("messages_per_minute", settings.rate_per_min, DEFAULT_RATE_PER_MIN, MINUTE),
            quota("messages_per_hour", settings.rate_per_hour, DEFAULT_RATE_PER_HOUR, HOUR),
        ])
    }
}

/// How many messages may be handed over now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// Number of further hand-overs.
    pub(crate) allowed: u64,
    /// The quota that allows none, and the time at which it allows the next one.
    pub(crate) exhausted: Option<(RateQuota, Timestamp)>,
}

impl Pace {
    /// A pace without a limit.
    pub(crate) const FREE: Self = Self { allowed: u64::MAX, exhausted: None };

    /// Returns the pace that also keeps a quota. `times` are the hand-overs within the quota's window,
    /// with the time of the newest one that is as many back as the quota counts.
    pub(crate) fn with(self, quota: RateQuota, times: HandOverTimes) -> Self {
        let allowed = u64::from(quota.count).saturating_sub(times.count);
        let next = times.nth_newest.filter(|_| allowed == 0).map(|at| at.plus(quota.window));
        let later = |known: &(RateQuota, Timestamp)| next.is_none_or(|next| known.1 >= next);
        let exhausted = self.exhausted.filter(later).or(next.map(|next| (quota, next)));
        Self { allowed: self.allowed.min(allowed), exhausted }
    }

    /// Returns the time of the next hand-over if none is allowed now.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.exhausted.map(|(_, at)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(count: u32, window: Duration) -> RateQuota {
        RateQuota { name: "test", count, window }
    }

    #[test]
    fn settings_have_defaults_and_zero_is_no_limit() {
        let counts = |settings: &Settings| {
            PaceQuotas::of(settings).0.map(|quota| quota.map(|quota| quota.count))
        };
        assert_eq!(counts(&Settings::default()), [Some(20), Some(600)]);
        let settings =
            Settings { rate_per_min: Some(0), rate_per_hour: Some(7), ..Settings::default() };
        assert_eq!(counts(&settings), [None, Some(7)]);
    }

    #[test]
    fn smallest_allowance_and_latest_time_count() {
        let at = Timestamp::from_millis;
        let full = HandOverTimes { count: 20, nth_newest: Some(at(1_000)) };
        let minute = Pace::FREE.with(quota(20, MINUTE), full);
        assert_eq!((minute.allowed, minute.next()), (0, Some(at(61_000))));
        let some = HandOverTimes { count: 590, nth_newest: None };
        let both = minute.with(quota(600, HOUR), some);
        assert_eq!((both.allowed, both.next()), (0, Some(at(61_000))));
        let full = HandOverTimes { count: 600, nth_newest: Some(at(2_000)) };
        let both = minute.with(quota(600, HOUR), full);
        assert_eq!((both.allowed, both.next()), (0, Some(at(3_602_000))));
        let free = Pace::FREE.with(quota(600, HOUR), some);
        assert_eq!((free.allowed, free.next()), (10, None));
    }
}
