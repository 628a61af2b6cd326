//! What look-ups in an SQLite file found, believed for as long as nothing was committed to it.
//!
//! Whether something was is in the head of the WAL index, the file beside the database that ends in
//! `-shm`: SQLite writes it anew with every commit, by whichever process, before the commit returns, and
//! every reader goes by it (SQLite's "WAL-mode File Format", the section on the WAL-index header). To
//! read those bytes costs one system call; to begin a read transaction, find a row and parse it costs
//! many times as much. Nothing is believed that a reader who asked SQLite in the same moment would not
//! be told.
//!
//! Decision: ADR 0020.

use std::{
    collections::HashMap,
    hash::Hash,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use domain::{Session, ports::PresentedKey};

use crate::{
    engine::sqlite::wal_index::{HEAD_SIZE, WalHead, WalIndex},
    scope::ScopedSessionId,
};

/// So many answers of a kind are kept at most, which is some megabytes of sessions. One more, and all
/// are forgotten.
const MAX_ENTRIES: usize = 4096;

/// What was found lately.
pub(crate) struct ReadCache {
    index: Option<WalIndex>,
    sessions: Entries<ScopedSessionId, Option<Arc<Session>>>,
    unknown_keys: Entries<PresentedKey, ()>,
}

impl ReadCache {
    /// In this file, which exists. Keeps nothing where there is no WAL index to go by.
    pub(crate) fn open(file: &Path) -> Self {
        let index = WalIndex::open(file);
        if let Err(error) = &index {
            tracing::debug!(%error, "what is looked up is read from the file every time");
        }
        Self { index: index.ok(), sessions: Entries::default(), unknown_keys: Entries::default() }
    }

    /// This moment. `None` when there is nothing to tell it from others by.
    pub(crate) fn epoch(&self) -> Option<CacheEpoch<'_>> {
        Some(CacheEpoch { cache: self, head: self.head()? })
    }

    fn head(&self) -> Option<WalHead> {
        self.index.as_ref()?.head()
    }
}

/// A moment at which what was found at the same standing can be believed.
pub(crate) struct CacheEpoch<'a> {
    cache: &'a ReadCache,
    head: WalHead,
}

/// It must be looked up.
pub(crate) struct Miss;

impl CacheEpoch<'_> {
    /// What is there for this caller by this name, if that is known: nothing may be.
    pub(crate) fn session(&self, scoped_id: &ScopedSessionId) -> Result<Option<Session>, Miss> {
        // Copied when the shelf is free again.
        let session = self.cache.sessions.get(&self.head, scoped_id).ok_or(Miss)?;
        Ok(session.as_deref().cloned())
    }

    /// A look-up that began after this moment found this.
    pub(crate) fn insert_session(self, scoped_id: ScopedSessionId, session: Option<&Session>) {
        if self.is_current() {
            self.cache.sessions.put(self.head, scoped_id, session.cloned().map(Arc::new));
        }
    }

    /// Whether no good key is known to be shown like this. What is not good at one time is not at any
    /// later one; of good ones that cannot be said, so they are not kept here.
    pub(crate) fn is_unknown_key(&self, presented: &PresentedKey) -> bool {
        self.cache.unknown_keys.get(&self.head, presented).is_some()
    }

    /// A look-up that began after this moment found no good key.
    pub(crate) fn insert_unknown_key(self, presented: PresentedKey) {
        if self.is_current() {
            self.cache.unknown_keys.put(self.head, presented, ());
        }
    }

    /// Nothing was committed since: what was read in between was read at this standing.
    fn is_current(&self) -> bool {
        self.cache.head() == Some(self.head)
    }
}

/// Answers of one kind, all of them found at one standing.
struct Entries<K, V>(Mutex<EpochEntries<K, V>>);

struct EpochEntries<K, V> {
    head: WalHead,
    entries: HashMap<K, V>,
}

impl<K, V> Default for Entries<K, V> {
    fn default() -> Self {
        Self(Mutex::new(EpochEntries { head: [0; HEAD_SIZE], entries: HashMap::new() }))
    }
}

impl<K: Eq + Hash, V: Clone> Entries<K, V> {
    fn get(&self, head: &WalHead, key: &K) -> Option<V> {
        let locked = self.locked();
        if locked.head == *head { locked.entries.get(key).cloned() } else { None }
    }

    fn put(&self, head: WalHead, key: K, value: V) {
        let mut locked = self.locked();
        if locked.head != head || locked.entries.len() >= MAX_ENTRIES {
            locked.head = head;
            locked.entries.clear();
        }
        locked.entries.insert(key, value);
    }

    fn locked(&self) -> MutexGuard<'_, EpochEntries<K, V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use diesel::{Connection as _, SqliteConnection, connection::SimpleConnection as _};

    use super::*;
    use crate::engine::sqlite::connect;

    fn presented(n: u8) -> PresentedKey {
        PresentedKey { id: domain::KeyId::from_bits(n.into()), digest: [n; 32] }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn entries_are_valid_until_a_commit() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("berth.db");
        drop(connect::create(&file).await.expect("it is made"));
        let cache = ReadCache::open(&file);
        let epoch = || cache.epoch().expect("there is an index");
        let mut other = SqliteConnection::establish(&file.to_string_lossy()).expect("opened");
        other.batch_execute("CREATE TABLE t (x)").expect("committed");
        epoch().insert_unknown_key(presented(1));
        assert!(epoch().is_unknown_key(&presented(1)));
        assert!(!epoch().is_unknown_key(&presented(2)));
        other.batch_execute("BEGIN; INSERT INTO t VALUES (1); ROLLBACK").expect("taken back");
        assert!(epoch().is_unknown_key(&presented(1)));
        other.batch_execute("INSERT INTO t VALUES (1)").expect("committed");
        assert!(!epoch().is_unknown_key(&presented(1)));
        let before = epoch();
        other.batch_execute("INSERT INTO t VALUES (2)").expect("committed");
        before.insert_unknown_key(presented(1));
        assert!(!epoch().is_unknown_key(&presented(1)), "it may have been read before the commit");
        other.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)").expect("checkpointed");
        other.batch_execute("INSERT INTO t VALUES (3)").expect("committed");
        epoch().insert_unknown_key(presented(1));
        drop(other);
        assert!(epoch().is_unknown_key(&presented(1)));
    }

    #[test]
    fn cache_size_is_bounded() {
        let entries = Entries::default();
        for n in 0..MAX_ENTRIES * 2 + 5 {
            entries.put([0; HEAD_SIZE], n, ());
            assert!(entries.get(&[0; HEAD_SIZE], &n).is_some());
            assert!(entries.locked().entries.len() <= MAX_ENTRIES);
        }
    }
}
