//! How often something may be done.

use std::time::Duration;

use crate::Timestamp;

/// So many in so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// What is counted, in a word that callers see.
    pub name: &'static str,
    /// How many.
    pub count: u32,
    /// In how long.
    pub window: Duration,
}

impl Quota {
    /// Counts one more, now, among the `earlier` ones, of which only those within the window are
    /// kept.
    ///
    /// # Errors
    /// How long until there is room, when there is none. Nothing is counted then.
    pub fn count_in(&self, earlier: &mut Vec<Timestamp>, now: Timestamp) -> Result<(), Duration> {
        // A moment that is still to come was noted by a clock that was ahead.
        earlier.retain(|at| *at <= now && at.until(now) < self.window);
        let most = usize::try_from(self.count).unwrap_or(usize::MAX);
        if earlier.len() < most {
            earlier.push(now);
            return Ok(());
        }
        let first = earlier[earlier.len() - most..].first().copied().unwrap_or(now);
        Err(self.window.saturating_sub(first.until(now)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1000)
    }

    #[test]
    fn so_many_pass_in_a_window_and_the_next_hears_when() {
        let quota = Quota { name: "test", count: 3, window: Duration::from_secs(10) };
        let mut earlier = Vec::new();
        for second in [0, 4, 5] {
            assert_eq!(quota.count_in(&mut earlier, at(second)), Ok(()));
        }
        assert_eq!(quota.count_in(&mut earlier, at(6)), Err(Duration::from_secs(4)));
        assert_eq!(quota.count_in(&mut earlier, at(9)), Err(Duration::from_secs(1)));
        assert_eq!(quota.count_in(&mut earlier, at(10)), Ok(()));
        assert_eq!(earlier, [at(4), at(5), at(10)], "no more is remembered than counts");
        assert_eq!(quota.count_in(&mut earlier, at(11)), Err(Duration::from_secs(3)));
    }

    #[test]
    fn a_clock_that_is_set_back_locks_nobody_out() {
        let quota = Quota { name: "test", count: 1, window: Duration::from_secs(10) };
        let mut earlier = vec![at(1_000_000)];
        assert_eq!(quota.count_in(&mut earlier, at(5)), Ok(()));
    }

    #[test]
    fn a_quota_that_was_lowered_counts_what_was_there_before() {
        let quota = Quota { name: "test", count: 2, window: Duration::from_secs(10) };
        let mut earlier = vec![at(0), at(1), at(2), at(3)];
        assert_eq!(quota.count_in(&mut earlier, at(4)), Err(Duration::from_secs(8)));
    }
}
