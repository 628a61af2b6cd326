//! Records when API keys were last used: in the background, at most once a minute for each key,
//! with bounded memory and a bounded number of in-flight writes.

use std::{sync::Arc, time::Duration};

use domain::{ApiKey, KeyId, Timestamp, ports::KeyDirectory};
use parking_lot::Mutex;
use quick_cache::unsync::Cache;
use tokio::sync::Semaphore;

/// The minimum time between two writes for one key.
const MIN_INTERVAL: Duration = Duration::from_secs(60);
const MAX_WRITES_IN_FLIGHT: usize = 4;
/// Maximum number of keys whose last recorded use is known. A further key replaces one of them, whose
/// next use is then recorded again.
const MAX_KEYS: usize = 50_000;

/// Writes the time of the last use of keys to the directory.
pub(crate) struct UsageRecorder {
    directory: Arc<dyn KeyDirectory>,
    recorded: Mutex<RecordedUses>,
    writes: Arc<Semaphore>,
}

impl UsageRecorder {
    pub(crate) fn new(directory: Arc<dyn KeyDirectory>) -> Self {
        let writes = Arc::new(Semaphore::new(MAX_WRITES_IN_FLIGHT));
        Self { directory, recorded: Mutex::new(RecordedUses::new()), writes }
    }

    /// Records the use of `key`, unless a use within the last minute is recorded. Never waits: when
    /// all writes are taken, a later use of the key is recorded instead.
    pub(crate) fn record(&self, key: &ApiKey, now: Timestamp) {
        if key.last_used_at.is_some_and(|at| at.until(now) < MIN_INTERVAL) {
            return;
        }
        let Ok(permit) = Arc::clone(&self.writes).try_acquire_owned() else { return };
        if !self.recorded.lock().insert(&key.id, now) {
            return;
        }
        let (directory, id) = (Arc::clone(&self.directory), key.id.clone());
        tokio::spawn(async move {
            if let Err(error) = directory.record_use(&id, now).await {
                let error: &(dyn std::error::Error + 'static) = &error;
                tracing::warn!(key = %id, error, "the use of an API key was not recorded");
            }
            drop(permit);
        });
    }
}

/// Recently recorded uses by the bits of the key id.
struct RecordedUses(Cache<u128, Timestamp>);

impl RecordedUses {
    fn new() -> Self {
        Self(Cache::new(MAX_KEYS))
    }

    /// Inserts a use. Returns false if a use within the last minute is recorded.
    fn insert(&mut self, id: &KeyId, now: Timestamp) -> bool {
        let last = self.0.get(&id.bits());
        if last.is_some_and(|at| at.until(now) < MIN_INTERVAL) {
            return false;
        }
        self.0.insert(id.bits(), now);
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
    fn key_is_recorded_once_a_minute() {
        let (mut recorded, id) = (RecordedUses::new(), KeyId::from_bits(1));
        let seconds: Vec<_> = (0..240).filter(|s| recorded.insert(&id, second(*s))).collect();
        assert_eq!(seconds, [0, 60, 120, 180]);
    }

    #[test]
    fn keys_are_recorded_independently() {
        let mut recorded = RecordedUses::new();
        assert!(recorded.insert(&KeyId::from_bits(1), second(0)));
        assert!(recorded.insert(&KeyId::from_bits(2), second(50)));
        let seconds: Vec<_> =
            (51..200).filter(|s| recorded.insert(&KeyId::from_bits(2), second(*s))).collect();
        assert_eq!(seconds, [110, 170]);
    }

    #[test]
    fn memory_stays_bounded_under_many_keys() {
        let mut recorded = RecordedUses::new();
        for n in 0..MAX_KEYS as u128 + 10_000 {
            recorded.insert(&KeyId::from_bits(n), second(1));
        }
        assert!(recorded.0.len() <= MAX_KEYS);
        assert!(recorded.insert(&KeyId::from_bits(u128::MAX), second(1)), "a new key has room");
    }
}
