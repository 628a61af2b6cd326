//! [`KeyCache`]: a cache of valid API keys in front of the database's key directory.
//!
//! An entry younger than 500 ms is served as is. An older entry is served and read again in the
//! background. An entry of 1 s or more is never served, so a revocation on another router holds
//! within 1 s, and an outage of the database extends no key by more than 1 s. The age of an entry
//! counts from the start of its lookup, because the value may be as old as that.
//!
//! Concurrent requests with the same key share one lookup (single flight).
//!
//! The cache stores valid keys only, by key id and secret digest: a wrong secret is a different
//! cache key. Wrong, revoked, expired and unknown keys cost one lookup for each request, so
//! response times do not reveal which of the four applies, and guesses do not fill the memory. The
//! directory behind this cache may skip its own lookup when it knows that nothing has changed since
//! the last miss.
//!
//! Decision: ADR 0010.

use std::{
    collections::HashMap,
    mem,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use domain::{
    ApiKey, KeyId, Timestamp,
    ports::{Environment, KeyDirectory, PortError, PortResult, PresentedKey},
};
use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::sync::watch;

/// Entries of this age or more are never served (TTL).
const MAX_AGE: Duration = Duration::from_millis(1000);
/// Entries of this age or more are served and read again in the background.
const REFRESH_AFTER: Duration = Duration::from_millis(500);
/// Entries in one generation. Keys beyond that cost a lookup for each request.
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

/// Receives the result of a lookup; `None` until the lookup ends.
type ResultReceiver = watch::Receiver<Option<LookupResult>>;

/// Where the caller gets the key from.
enum CacheAnswer {
    Hit(Arc<ApiKey>),
    /// Another request has started a lookup of the same key.
    Pending(ResultReceiver),
    /// This request has started the lookup and must drive the future.
    Started(ResultReceiver, BoxFuture<'static, ()>),
}

/// An in-flight lookup. Requests for the same key share it.
struct PendingLookup {
    number: u64,
    started_at: Timestamp,
    result: ResultReceiver,
}

/// A valid key as the directory returned it.
struct Entry {
    key: Arc<ApiKey>,
    /// The start of the lookup that returned the key.
    read_at: Timestamp,
    /// The last refresh failed. The entry is served until [`MAX_AGE`] without further refreshes.
    refresh_failed: bool,
}

/// The cached keys in two generations. Eviction drops a whole generation, so that no write has to
/// search for expired entries.
#[derive(Default)]
struct Entries {
    /// The start of the recent generation.
    started_at: Timestamp,
    recent: HashMap<CacheKey, Entry>,
    older: HashMap<CacheKey, Entry>,
    pending: HashMap<CacheKey, PendingLookup>,
    /// The number of the newest lookup.
    newest_lookup: u64,
}

impl KeyCache {
    /// Creates an empty cache in front of `directory`.
    pub fn new(directory: Arc<dyn KeyDirectory>, environment: Arc<dyn Environment>) -> Self {
        Self { inner: Arc::new(Inner { directory, environment, entries: Mutex::default() }) }
    }
}

#[async_trait]
impl KeyDirectory for KeyCache {
    async fn find(&self, presented: &PresentedKey, now: Timestamp) -> PortResult<Option<ApiKey>> {
        let receiver = match self.inner.get(presented, now) {
            CacheAnswer::Hit(key) => return Ok(Some((*key).clone())),
            CacheAnswer::Pending(receiver) => receiver,
            CacheAnswer::Started(receiver, mut lookup) => {
                // Most lookups end at the first poll and need no task. When a lookup panics, its
                // sender is dropped and all waiting requests get an error.
                let outcome = AssertUnwindSafe(&mut lookup).catch_unwind().now_or_never();
                if outcome.is_none() {
                    tokio::spawn(lookup);
                }
                receiver
            }
        };
        match wait_for_result(receiver).await {
            Some(Ok(key)) => Ok(key.map(|key| (*key).clone())),
            Some(Err(error)) => Err(shared_error(&error)),
            None => Err(PortError::Broken("the lookup of an API key panicked".into())),
        }
    }

    fn invalidate(&self, id: &KeyId) {
        self.inner.entries().invalidate(id.bits());
        self.inner.directory.invalidate(id);
    }

    async fn record_use(&self, id: &KeyId, at: Timestamp) -> PortResult<()> {
        self.inner.directory.record_use(id, at).await
    }
}

impl Inner {
    fn get(self: &Arc<Self>, presented: &PresentedKey, now: Timestamp) -> CacheAnswer {
        let cache_key = cache_key(presented);
        let mut entries = self.entries();
        if let Some((key, fresh)) = entries.get(&cache_key, now) {
            if !fresh && entries.pending(&cache_key, now).is_none() {
                let (_, lookup) = self.start_lookup(&mut entries, presented, now);
                tokio::spawn(lookup);
            }
            return CacheAnswer::Hit(key);
        }
        if let Some(receiver) = entries.pending(&cache_key, now) {
            return CacheAnswer::Pending(receiver);
        }
        let (receiver, lookup) = self.start_lookup(&mut entries, presented, now);
        CacheAnswer::Started(receiver, lookup)
    }

    /// Registers a lookup and returns its future. Other requests may wait for the result, so the
    /// future must run to its end.
    fn start_lookup(
        self: &Arc<Self>,
        entries: &mut Entries,
        presented: &PresentedKey,
        now: Timestamp,
    ) -> (ResultReceiver, BoxFuture<'static, ()>) {
        let (sender, receiver) = watch::channel(None);
        let (cache_key, presented) = (cache_key(presented), presented.clone());
        let number = entries.add_pending(cache_key, now, receiver.clone());
        let inner = Arc::clone(self);
        let lookup = async move {
            let result = inner.directory.find(&presented, now).await;
            let result = result.map(|key| key.map(Arc::new)).map_err(Arc::new);
            let now = inner.environment.now();
            inner.entries().complete(cache_key, number, &result, now);
            sender.send_replace(Some(result));
        };
        (receiver, lookup.boxed())
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    /// Returns the key if its entry is young enough and the key is valid at `now`, and whether the
    /// entry needs no refresh.
    fn get(&self, cache_key: &CacheKey, now: Timestamp) -> Option<(Arc<ApiKey>, bool)> {
        let entry = self.recent.get(cache_key).or_else(|| self.older.get(cache_key))?;
        let age = age(entry.read_at, now)?;
        let fresh = age < REFRESH_AFTER || entry.refresh_failed;
        // A key that has expired since its lookup is looked up, like every key that is not valid.
        (age < MAX_AGE && entry.key.is_valid(now)).then(|| (Arc::clone(&entry.key), fresh))
    }

    /// Returns the in-flight lookup of a key, unless it started [`MAX_AGE`] or more ago (its result
    /// would be too old) or has panicked.
    fn pending(&self, cache_key: &CacheKey, now: Timestamp) -> Option<ResultReceiver> {
        let lookup = self.pending.get(cache_key)?;
        let young = age(lookup.started_at, now)? < MAX_AGE;
        (young && lookup.result.has_changed().is_ok()).then(|| lookup.result.clone())
    }

    fn add_pending(
        &mut self,
        cache_key: CacheKey,
        started_at: Timestamp,
        result: ResultReceiver,
    ) -> u64 {
        self.newest_lookup += 1;
        let number = self.newest_lookup;
        self.pending.insert(cache_key, PendingLookup { number, started_at, result });
        number
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
                self.insert(cache_key, key, lookup.started_at, now);
            }
            Ok(_) => {
                self.recent.remove(&cache_key);
                self.older.remove(&cache_key);
            }
            Err(_) => {
                for generation in [&mut self.recent, &mut self.older] {
                    if let Some(entry) = generation.get_mut(&cache_key) {
                        entry.refresh_failed = true;
                    }
                }
            }
        }
    }

    fn insert(
        &mut self,
        cache_key: CacheKey,
        key: &Arc<ApiKey>,
        read_at: Timestamp,
        now: Timestamp,
    ) {
        if age(self.started_at, now).is_none_or(|age| age >= MAX_AGE) {
            self.started_at = now;
            self.older = mem::take(&mut self.recent);
        }
        self.older.remove(&cache_key);
        if self.recent.len() < MAX_ENTRIES || self.recent.contains_key(&cache_key) {
            let entry = Entry { key: Arc::clone(key), read_at, refresh_failed: false };
            self.recent.insert(cache_key, entry);
        }
    }

    /// Removes the entries and in-flight lookups of a key id, for all presented secrets. Scans all
    /// entries; revocations are rare.
    fn invalidate(&mut self, id: u128) {
        self.recent.retain(|(cached, _), _| *cached != id);
        self.older.retain(|(cached, _), _| *cached != id);
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

/// Returns the result of a lookup; `None` when the lookup panicked.
async fn wait_for_result(mut receiver: ResultReceiver) -> Option<LookupResult> {
    let result = receiver.wait_for(Option::is_some).await.ok()?;
    result.clone()
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

    #[test]
    fn memory_stays_bounded_under_many_keys() {
        let (mut entries, key) = (Entries::default(), key());
        for n in 0..MAX_ENTRIES as u128 * 3 {
            entries.insert(cache_key(n), &key, at(0), at(0));
        }
        assert_eq!((entries.recent.len(), entries.older.len()), (MAX_ENTRIES, 0));
        for n in 0..MAX_ENTRIES as u128 * 3 {
            entries.insert(cache_key(n), &key, at(1000), at(1000));
        }
        assert_eq!(entries.recent.len(), MAX_ENTRIES);
        assert!(entries.older.len() <= MAX_ENTRIES);
        assert!(entries.get(&cache_key(0), at(1999)).is_some());
        assert!(entries.get(&cache_key(MAX_ENTRIES as u128), at(1000)).is_none());
        assert!(entries.get(&(0, [1; 32]), at(1000)).is_none(), "another secret");
        entries.invalidate(0);
        assert!(entries.get(&cache_key(0), at(1000)).is_none());
    }

    #[test]
    fn entries_of_a_second_or_from_the_future_are_not_served() {
        let (mut entries, key) = (Entries::default(), key());
        entries.insert(cache_key(1), &key, at(0), at(300));
        let fresh = |millis| entries.get(&cache_key(1), at(millis)).map(|(_, fresh)| fresh);
        assert_eq!(
            [0, 499, 500, 999].map(fresh),
            [Some(true), Some(true), Some(false), Some(false)]
        );
        assert_eq!([1000, 5000, -1].map(fresh), [None; 3]);
    }

    #[test]
    fn key_in_constant_use_outlives_its_generation() {
        let (mut entries, key) = (Entries::default(), key());
        for millis in (0..10_000).step_by(600) {
            entries.insert(cache_key(1), &key, at(millis), at(millis));
            assert!(entries.get(&cache_key(1), at(millis + 599)).is_some(), "{millis}");
        }
    }
}
