//! A bounded cache of lookup results.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::lookup::Answer;

/// The maximum number of entries.
const MAX_ENTRIES: usize = 4_096;

/// An organization and a name. Organizations share no entry, so that the duration of a delivery
/// does not show which names others use.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct LookupKey {
    pub(super) organization: String,
    pub(super) name: String,
}

/// Lookup results with their expiry. Addresses and failures have different TTLs.
#[derive(Debug)]
pub(super) struct LookupCache {
    entries: HashMap<LookupKey, (Answer, Instant)>,
    ttl: Duration,
    failure_ttl: Duration,
}

impl LookupCache {
    pub(super) fn new(ttl: Duration, failure_ttl: Duration) -> Self {
        Self { entries: HashMap::new(), ttl, failure_ttl }
    }

    pub(super) fn get(&self, key: &LookupKey, now: Instant) -> Option<Answer> {
        let (answer, expiry) = self.entries.get(key)?;
        (*expiry > now).then(|| answer.clone())
    }

    /// Stores a result. A full cache loses its expired entries, or else the entry that expires
    /// first.
    pub(super) fn insert(&mut self, key: LookupKey, answer: Answer, now: Instant) {
        if self.entries.len() >= MAX_ENTRIES {
            self.entries.retain(|_, (_, expiry)| *expiry > now);
        }
        if self.entries.len() >= MAX_ENTRIES
            && let Some(first) = self.entries.iter().min_by_key(|(_, (_, expiry))| *expiry)
        {
            let first = first.0.clone();
            self.entries.remove(&first);
        }
        let ttl = if answer.is_ok() { self.ttl } else { self.failure_ttl };
        self.entries.insert(key, (answer, now + ttl));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::lookup::LookupError;

    const TTL: Duration = Duration::from_secs(30);
    const FAILURE_TTL: Duration = Duration::from_secs(5);

    fn key(organization: &str, name: &str) -> LookupKey {
        LookupKey { organization: organization.into(), name: name.into() }
    }

    #[test]
    fn failure_expires_before_an_answer() {
        let (mut cache, start) = (LookupCache::new(TTL, FAILURE_TTL), Instant::now());
        cache.insert(key("a", "good"), Ok([].into()), start);
        cache.insert(key("a", "bad"), Err(LookupError::NoAddress), start);
        assert_eq!(cache.get(&key("a", "bad"), start), Some(Err(LookupError::NoAddress)));
        assert_eq!(cache.get(&key("a", "bad"), start + FAILURE_TTL), None);
        assert!(cache.get(&key("a", "good"), start + FAILURE_TTL).is_some());
        assert_eq!(cache.get(&key("a", "good"), start + TTL), None);
    }

    #[test]
    fn organizations_share_no_entry() {
        let (mut cache, start) = (LookupCache::new(TTL, FAILURE_TTL), Instant::now());
        cache.insert(key("a", "name"), Ok([].into()), start);
        assert_eq!(cache.get(&key("b", "name"), start), None);
    }

    #[test]
    fn full_cache_loses_the_entry_that_expires_first() {
        let (mut cache, start) = (LookupCache::new(TTL, FAILURE_TTL), Instant::now());
        for n in 0..=MAX_ENTRIES {
            let later = Duration::from_micros(n.try_into().unwrap());
            cache.insert(key("a", &n.to_string()), Ok([].into()), start + later);
        }
        assert_eq!(cache.entries.len(), MAX_ENTRIES);
        assert_eq!(cache.get(&key("a", "0"), start), None);
        assert!(cache.get(&key("a", "1"), start).is_some());
        cache.insert(key("a", "new"), Ok([].into()), start + 2 * TTL);
        assert_eq!(cache.entries.len(), 1);
    }
}
