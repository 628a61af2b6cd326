//! Failed logins, counted by the address of the peer.
//!
//! Keys and tokens cannot be guessed. The limit keeps programs that try nevertheless from costing lookups
//! and log lines without end. Each router counts separately.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use domain::{Error, RateQuota, Result, Timestamp};

/// The maximum of failed logins of one address.
const QUOTA: RateQuota = RateQuota { name: "logins", count: 20, window: Duration::from_secs(60) };
/// Maximum number of addresses with counters. Counters of earlier windows are removed first.
const MAX_ADDRESSES: usize = 10_000;

/// Counts failed logins.
#[derive(Default)]
pub(crate) struct LoginFailures {
    by_address: Mutex<HashMap<u64, Failures>>,
}

/// The failures of an address since the start of its window.
#[derive(Clone, Copy)]
struct Failures {
    since: Timestamp,
    count: u32,
}

impl Failures {
    fn is_current(self, now: Timestamp) -> bool {
        self.since <= now && self.since.until(now) < QUOTA.window
    }
}

impl LoginFailures {
    /// Admits a login of an address.
    ///
    /// # Errors
    /// [`Error::RateLimited`] after the maximum of failures in the window.
    pub(crate) fn admit(&self, address: u64, now: Timestamp) -> Result<()> {
        let by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        match by_address.get(&address) {
            Some(failures) if failures.is_current(now) && failures.count >= QUOTA.count => {
                let retry_after = now.until(failures.since.plus(QUOTA.window));
                Err(Error::RateLimited { rate_quota: QUOTA, retry_after })
            }
            _ => Ok(()),
        }
    }

    /// Counts a failed login.
    pub(crate) fn record(&self, address: u64, now: Timestamp) {
        let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if by_address.len() >= MAX_ADDRESSES {
            by_address.retain(|_, failures| failures.is_current(now));
            // An attacker with many addresses must fill neither the memory nor the time of others.
            if by_address.len() >= MAX_ADDRESSES {
                by_address.clear();
            }
        }
        let failures = by_address.entry(address).or_insert(Failures { since: now, count: 0 });
        if !failures.is_current(now) {
            *failures = Failures { since: now, count: 0 };
        }
        failures.count = failures.count.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1000)
    }

    #[test]
    fn failures_of_an_address_are_bounded_for_a_minute() {
        let failures = LoginFailures::default();
        for _ in 0..QUOTA.count {
            assert!(failures.admit(1, at(10)).is_ok());
            failures.record(1, at(10));
        }
        let Err(Error::RateLimited { retry_after, .. }) = failures.admit(1, at(25)) else {
            panic!("admitted");
        };
        assert_eq!(retry_after, Duration::from_secs(45));
        assert!(failures.admit(2, at(25)).is_ok(), "another address");
        assert!(failures.admit(1, at(70)).is_ok());
        failures.record(1, at(70));
        assert!(failures.admit(1, at(70)).is_ok(), "a new window");
    }

    #[test]
    fn addresses_with_failures_are_bounded() {
        let failures = LoginFailures::default();
        let count = || failures.by_address.lock().unwrap().len();
        for address in 0..25_000 {
            failures.record(address, at(0));
            assert!(count() <= MAX_ADDRESSES);
        }
        for address in 0..6_000 {
            failures.record(address, at(61));
        }
        assert_eq!(count(), 6_000, "those of the window before are removed");
    }
}
