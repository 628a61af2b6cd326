//! [`KeyCache`]: a cache of valid API keys in front of the database's key directory.
//!
//! An entry younger than 1 s is served; an older one is never served. So a revocation on another
//! router holds within 1 s, and an outage of the database extends no key by more than 1 s. The age of
//! an entry counts from the start of its lookup, because the value may be as old as that.
//!
//! Concurrent requests with the same key share one lookup (single flight).
//!
//! The cache stores at most 10,000 keys, by key id and secret digest: a wrong secret is a different
//! cache key. Only valid keys are stored. Wrong, revoked, expired and unknown keys cost one lookup
//! for each request, so response times do not reveal which of the four applies, and guesses do not
//! fill the memory.
//!
//! Decision: ADR 0010.

use std::{collections::HashMap, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use async_trait::async_trait;
use domain::{
    ApiKey, KeyId, Timestamp,
    ports::{Environment, KeyDirectory, PortError, PortResult, PresentedKey},
};
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use parking_lot::Mutex;
use quick_cache::unsync::Cache;

/// Entries of this age or more are never served (TTL).
const MAX_AGE: Duration = Duration::from_millis(1000);
/// Maximum number of entries. Further keys replace keys that are not in use.
const MAX_ENTRIES: usize = 10_000;

/// A key directory that caches valid keys of another directory for up to 1 s.
pub struct KeyCache {
    inner: Arc<Inner>,
}

struct Inner {
    directory: Arc<dyn KeyDirectory>,
    environment: Arc<dyn Environment>,
    entries: Mutex<Entries>,
}

/// The bits of a key id and the digest of the presented secret.
type CacheKey = (u128, [u8; 32]);

/// The result of one lookup, shared by all requests that wait for it.
type LookupResult = Result<Option<Arc<ApiKey>>, Arc<PortError>>;

/// An in-flight lookup. Every clone returns its result.
type Lookup = Shared<BoxFuture<'static, LookupResult>>;

/// Where the caller gets the key from.
enum CacheAnswer {
    Hit(Arc<ApiKey>),
    /// Another request has started a lookup of the same key.
    Pending(Lookup),
    /// This request has started the lookup, which must run to its end.
    Started(Lookup),
}

struct PendingLookup {
    number: u64,
    started_at: Timestamp,
    lookup: Lookup,
}

/// A valid key as the directory returned it.
struct Entry {
    key: Arc<ApiKey>,
    /// The start of the lookup that returned the key.
    read_at: Timestamp,
}

/// The cached keys and the lookups in flight.
struct Entries {
    valid: Cache<CacheKey, Entry>,
    pending: HashMap<CacheKey, PendingLookup>,
    /// The number of the newest lookup.
    newest_lookup: u64,
}

impl KeyCache {
    /// Creates an empty cache in front of `directory`.
    pub fn new(directory: Arc<dyn KeyDirectory>, environment: Arc<dyn Environment>) -> Self {
        let entries = Mutex::new(Entries::new());
        Self { inner: Arc::new(Inner { directory, environment, entries }) }
    }
}

#[async_trait]
impl KeyDirectory for KeyCache {
    async fn find(&self, presented: &PresentedKey, now: Timestamp) -> PortResult<Option<ApiKey>> {
        let lookup = match self.inner.get(presented, now) {
            CacheAnswer::Hit(key) => return Ok(Some((*key).clone())),
            CacheAnswer::Pending(lookup) => lookup,
            CacheAnswer::Started(lookup) => {
                // Most lookups end at the first poll and need no task.
                if lookup.clone().now_or_never().is_none() {
                    tokio::spawn(lookup.clone());
                }
                lookup
            }
        };
        match lookup.await {
            Ok(key) => Ok(key.map(|key| (*key).clone())),
            Err(error) => Err(shared_error(&error)),
        }
    }

    fn invalidate(&self, id: &KeyId) {
        self.inner.entries.lock().invalidate(id.bits());
        self.inner.directory.invalidate(id);
    }

    async fn record_use(&self, id: &KeyId, at: Timestamp) -> PortResult<()> {
        self.inner.directory.record_use(id, at).await
    }
}

impl Inner {
    fn get(self: &Arc<Self>, presented: &PresentedKey, now: Timestamp) -> CacheAnswer {
        let cache_key = cache_key(presented);
        let mut entries = self.entries.lock();
        if let Some(key) = entries.get(&cache_key, now) {
            return CacheAnswer::Hit(key);
        }
        match entries.pending(&cache_key, now) {
            Some(lookup) => CacheAnswer::Pending(lookup),
            None => CacheAnswer::Started(self.start_lookup(&mut entries, presented, now)),
        }
    }

    /// Registers a lookup. A panic in the directory is an error of the lookup.
    fn start_lookup(
        self: &Arc<Self>,
        entries: &mut Entries,
        presented: &PresentedKey,
        started_at: Timestamp,
    ) -> Lookup {
        entries.newest_lookup += 1;
        let (number, cache_key) = (entries.newest_lookup, cache_key(presented));
        let (inner, presented) = (Arc::clone(self), presented.clone());
        let lookup = async move {
            let found = inner.directory.find(&presented, started_at);
            let found = AssertUnwindSafe(found).catch_unwind().await;
            let panicked = |_| Err(PortError::Broken("the lookup of an API key panicked".into()));
            let result = found.unwrap_or_else(panicked);
            let result = result.map(|key| key.map(Arc::new)).map_err(Arc::new);
            let now = inner.environment.now();
            inner.entries.lock().complete(cache_key, number, &result, now);
            result
        };
        let lookup = lookup.boxed().shared();
        let pending = PendingLookup { number, started_at, lookup: lookup.clone() };
        entries.pending.insert(cache_key, pending);
        lookup
    }
}

impl Entries {
    fn new() -> Self {
        Self { valid: Cache::new(MAX_ENTRIES), pending: HashMap::new(), newest_lookup: 0 }
    }

    /// Returns the key if its entry is young enough and the key is valid at `now`.
    fn get(&self, cache_key: &CacheKey, now: Timestamp) -> Option<Arc<ApiKey>> {
        let entry = self.valid.get(cache_key)?;
        let is_young = age(entry.read_at, now)? < MAX_AGE;
        // A key that has expired since its lookup is looked up, like every key that is not valid.
        (is_young && entry.key.is_valid(now)).then(|| Arc::clone(&entry.key))
    }

    /// Returns the in-flight lookup of a key, unless it started [`MAX_AGE`] or more ago: its result
    /// would be too old.
    fn pending(&self, cache_key: &CacheKey, now: Timestamp) -> Option<Lookup> {
        let pending = self.pending.get(cache_key)?;
        (age(pending.started_at, now)? < MAX_AGE).then(|| pending.lookup.clone())
    }

    /// Stores the result of a lookup, unless a newer lookup of the key has started or the key was
    /// invalidated meanwhile.
    fn complete(
        &mut self,
        cache_key: CacheKey,
        number: u64,
        result: &LookupResult,
        now: Timestamp,
    ) {
        let Some(lookup) = self.pending.remove(&cache_key) else { return };
        if lookup.number != number {
            self.pending.insert(cache_key, lookup);
            return;
        }
        match result {
            Ok(Some(key)) if key.is_valid(now) => {
                let (key, read_at) = (Arc::clone(key), lookup.started_at);
                self.valid.insert(cache_key, Entry { key, read_at });
            }
            Ok(_) => drop(self.valid.remove(&cache_key)),
            // A failed lookup says nothing about the key.
            Err(_) => {}
        }
    }

    /// Removes the entries and in-flight lookups of a key id, for all presented secrets. Scans all
    /// entries; revocations are rare.
    fn invalidate(&mut self, id: u128) {
        self.valid.retain(|(cached, _), _| *cached != id);
        self.pending.retain(|(cached, _), _| *cached != id);
    }
}

fn cache_key(presented: &PresentedKey) -> CacheKey {
    (presented.id.bits(), presented.digest)
}

/// Returns the time from `since` to `now`; `None` when the clock was set back, because the age is
/// then unknown.
fn age(since: Timestamp, now: Timestamp) -> Option<Duration> {
    (since <= now).then(|| since.until(now))
}

/// Returns the failure of a shared lookup as an error of one waiting request.
fn shared_error(error: &Arc<PortError>) -> PortError {
    let source = Box::new(Arc::clone(error));
    match **error {
        PortError::Unavailable(_) => PortError::Unavailable(source),
        PortError::Broken(_) => PortError::Broken(source),
    }
}

#[cfg(test)]
mod tests {
    use domain::{Actor, Capabilities, OrganizationId};

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + millis)
    }

    fn key() -> Arc<ApiKey> {
        Arc::new(ApiKey {
            id: KeyId::from_bits(1),
            organization: OrganizationId::parse("acme").expect("a valid organization id"),
            name: String::new(),
            capabilities: Capabilities::default(),
            sessions: None,
            digest: [0; 32],
            created_by: Actor::Operator,
            created_at: at(0),
            expires_at: None,
            last_used_at: None,
            revoked_at: None,
        })
    }

    fn cache_key(id: u128) -> CacheKey {
        (id, [0; 32])
    }

    fn insert(entries: &mut Entries, id: u128, read_at: Timestamp) {
        entries.valid.insert(cache_key(id), Entry { key: key(), read_at });
    }

    #[test]
    fn memory_stays_bounded_and_keys_in_use_stay_cached() {
        let mut entries = Entries::new();
        insert(&mut entries, 0, at(0));
        for n in 1..MAX_ENTRIES as u128 * 3 {
            assert!(entries.get(&cache_key(0), at(0)).is_some(), "in use at {n}");
            insert(&mut entries, n, at(0));
            assert!(entries.valid.len() <= MAX_ENTRIES);
        }
        assert!(entries.get(&(0, [1; 32]), at(0)).is_none(), "another secret");
        entries.invalidate(0);
        assert!(entries.get(&cache_key(0), at(0)).is_none());
    }

    #[test]
    fn entries_of_a_second_or_from_the_future_are_not_served() {
        let mut entries = Entries::new();
        insert(&mut entries, 1, at(0));
        let is_served = |millis| entries.get(&cache_key(1), at(millis)).is_some();
        assert_eq!([0, 999, 1000, 5000, -1].map(is_served), [true, true, false, false, false]);
    }
}
