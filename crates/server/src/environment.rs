//! The world as the domain sees it: the real clock and real randomness.

use std::{
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use domain::{Timestamp, ports::Environment};
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
