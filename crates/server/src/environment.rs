//! [`SystemEnvironment`]: the real clock and real random numbers for the domain.

use std::{
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use domain::{Timestamp, ports::Environment};
use ulid::Ulid;

/// The clock and the random source of the operating system.
#[derive(Debug, Default)]
pub(crate) struct SystemEnvironment {
    /// The newest generated id.
    newest: Mutex<u128>,
}

impl Environment for SystemEnvironment {
    #[expect(clippy::disallowed_methods, reason = "this is the port's one real clock")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let millis = since.map_or(0, |since| since.as_millis());
        Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
    }

    /// Returns an id that is greater than all earlier ones, even in the same millisecond or after
    /// the clock was set back.
    fn ulid(&self) -> u128 {
        let millis = u64::try_from(self.now().millis()).unwrap_or(0);
        let fresh = Ulid::from_parts(millis, rand::random()).0;
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        *newest = fresh.max(newest.saturating_add(1));
        *newest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_increase_when_the_clock_is_set_back() {
        let environment = SystemEnvironment::default();
        let first = environment.ulid();
        // The state after a clock that was a century ahead was set back.
        let ahead = first + (3_000_000_000_000_u128 << 80);
        *environment.newest.lock().unwrap() = ahead;
        let ids: Vec<_> = (0..1000).map(|_| environment.ulid()).collect();
        assert!(ids[0] > ahead && ids.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn id_contains_its_creation_time() {
        let environment = SystemEnvironment::default();
        let (before, ulid, after) =
            (environment.now(), Ulid(environment.ulid()), environment.now());
        let at = i64::try_from(ulid.timestamp_ms()).unwrap();
        assert!((before.millis()..=after.millis()).contains(&at));
    }
}
