//! When keys were last used, told to the directory beside the requests: at most once a minute a
//! key, with bounded memory and a bounded number of writes under way.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use domain::{ApiKey, KeyId, Timestamp, ports::KeyDirectory};
use tokio::sync::Semaphore;

const AT_MOST_EVERY: Duration = Duration::from_secs(60);
const WRITES_UNDER_WAY: usize = 4;
/// Per generation; a key beyond that is not noted in this minute.
const REMEMBERED: usize = 50_000;

/// Notes the use of keys in the background.
pub(crate) struct Usage {
    directory: Arc<dyn KeyDirectory>,
    noted: Mutex<Noted>,
    writes: Arc<Semaphore>,
}

impl Usage {
    pub(crate) fn new(directory: Arc<dyn KeyDirectory>) -> Self {
        let writes = Arc::new(Semaphore::new(WRITES_UNDER_WAY));
        Self { directory, noted: Mutex::default(), writes }
    }

    /// Notes that `key` was used, unless that is known to the minute already. Never waits: when
    /// the directory is too busy to be told, a later use will tell it.
    pub(crate) fn note(&self, key: &ApiKey, now: Timestamp) {
        if key.last_used_at.is_some_and(|at| at.until(now) < AT_MOST_EVERY) {
            return;
        }
        let Ok(permit) = Arc::clone(&self.writes).try_acquire_owned() else { return };
        if !self.noted.lock().unwrap_or_else(PoisonError::into_inner).insert(&key.id, now) {
            return;
        }
        let (directory, id) = (Arc::clone(&self.directory), key.id.clone());
        tokio::spawn(async move {
            if let Err(error) = directory.record_use(&id, now).await {
                let error: &(dyn std::error::Error + 'static) = &error;
                tracing::warn!(key = %id, error, "the use of an API key was not noted");
            }
            drop(permit);
        });
    }
}

/// Which keys were noted lately, in two generations: nothing is ever searched for old entries.
#[derive(Default)]
struct Noted {
    since: Timestamp,
    recent: HashMap<u128, Timestamp>,
    older: HashMap<u128, Timestamp>,
}

impl Noted {
    /// Whether the key is to be noted now, and then remembers that it was.
    fn insert(&mut self, id: &KeyId, now: Timestamp) -> bool {
        if self.since.until(now) >= AT_MOST_EVERY {
            self.since = now;
            self.older = mem::take(&mut self.recent);
        }
        let id = id.bits();
        let last = self.recent.get(&id).or_else(|| self.older.get(&id));
        if last.is_some_and(|at| at.until(now) < AT_MOST_EVERY) || self.recent.len() >= REMEMBERED {
            return false;
        }
        self.recent.insert(id, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + second * 1000)
    }

    #[test]
    fn a_key_is_noted_once_a_minute() {
        let (mut noted, id) = (Noted::default(), KeyId::from_bits(1));
        let told: Vec<_> = (0..240).filter(|s| noted.insert(&id, second(*s))).collect();
        assert_eq!(told, [0, 60, 120, 180]);
    }

    #[test]
    fn a_key_first_used_late_in_a_generation_is_not_noted_twice_in_a_minute() {
        let mut noted = Noted::default();
        assert!(noted.insert(&KeyId::from_bits(1), second(0)));
        assert!(noted.insert(&KeyId::from_bits(2), second(50)));
        let told: Vec<_> =
            (51..200).filter(|s| noted.insert(&KeyId::from_bits(2), second(*s))).collect();
        assert_eq!(told, [110, 170]);
    }

    #[test]
    fn memory_stays_bounded_under_many_keys() {
        let mut noted = Noted::default();
        for n in 0..REMEMBERED as u128 * 3 {
            noted.insert(&KeyId::from_bits(n), second(1));
        }
        assert!(noted.recent.len() <= REMEMBERED && noted.older.len() <= REMEMBERED);
        assert!(
            noted.insert(&KeyId::from_bits(u128::MAX), second(61)),
            "room again a minute later"
        );
    }
}
