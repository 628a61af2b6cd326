//! Caches results of point lookups in an SQLite file until the next commit.
//!
//! An entry is valid while the head of the WAL index is unchanged: see
//! [`wal_index`](crate::engine::sqlite::wal_index). Checking the head costs one system call; a read
//! transaction with an indexed lookup and the parsing of the row costs many times as much. A hit
//! equals what a reader of the same moment would read.
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

/// Maximum number of entries of a kind: some megabytes of sessions. A further entry clears the
/// kind.
const MAX_ENTRIES: usize = 4096;

/// Results of point lookups in one SQLite file.
pub(crate) struct ReadCache {
    index: Option<WalIndex>,
    sessions: Entries<ScopedSessionId, Option<Arc<Session>>>,
    unknown_keys: Entries<PresentedKey, ()>,
}

impl ReadCache {
    /// Opens the cache of an existing file. Without a readable WAL index the cache stays empty.
    pub(crate) fn open(file: &Path) -> Self {
        let index = WalIndex::open(file);
        if let Err(error) = &index {
            tracing::debug!(%error, "what is looked up is read from the file every time");
        }
        Self { index: index.ok(), sessions: Entries::default(), unknown_keys: Entries::default() }
    }

    /// Returns the current epoch; `None` without a readable WAL index, or while a commit is being
    /// published.
    pub(crate) fn epoch(&self) -> Option<CacheEpoch<'_>> {
        Some(CacheEpoch { cache: self, head: self.head()? })
    }

    fn head(&self) -> Option<WalHead> {
        self.index.as_ref()?.head()
    }
}

/// The span between two commits, during which entries stay valid.
pub(crate) struct CacheEpoch<'a> {
    cache: &'a ReadCache,
    head: WalHead,
}

/// The cache has no entry: the row must be read.
pub(crate) struct Miss;

impl CacheEpoch<'_> {
    /// Returns the session that a scoped id finds; `Ok(None)` if the scope has no such session.
    pub(crate) fn session(&self, scoped_id: &ScopedSessionId) -> Result<Option<Session>, Miss> {
        // The session is copied after the lock is released.
        let session = self.cache.sessions.get(&self.head, scoped_id).ok_or(Miss)?;
        Ok(session.as_deref().cloned())
    }

    /// Inserts the result of a lookup that began in this epoch.
    pub(crate) fn insert_session(self, scoped_id: ScopedSessionId, session: Option<&Session>) {
        if self.is_current() {
            self.cache.sessions.put(self.head, scoped_id, session.cloned().map(Arc::new));
        }
    }

    /// Whether the key is known to be invalid. An invalid key never becomes valid without a commit.
    /// Valid keys are not cached, because their validity also depends on the time.
    pub(crate) fn is_unknown_key(&self, presented: &PresentedKey) -> bool {
        self.cache.unknown_keys.get(&self.head, presented).is_some()
    }

    /// Inserts an invalid key whose lookup began in this epoch.
    pub(crate) fn insert_unknown_key(self, presented: PresentedKey) {
        if self.is_current() {
            self.cache.unknown_keys.put(self.head, presented, ());
        }
    }

    /// Whether no commit happened since the epoch began.
    fn is_current(&self) -> bool {
        self.cache.head() == Some(self.head)
    }
}

/// Entries of one kind, all of one epoch.
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
