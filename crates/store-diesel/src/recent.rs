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
    fs::File,
    hash::Hash,
    mem::ManuallyDrop,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use diesel::{RunQueryDsl, SqliteConnection};
use domain::{Session, ports::PresentedKey};

use crate::{scope::Owned, sqlite};

/// So many answers of a kind are kept at most, which is some megabytes of sessions. One more, and all
/// are forgotten.
const MOST: usize = 4096;

/// The two copies of the head of the WAL index. They differ while a commit is being published.
const HEAD: usize = 2 * COPY;
const COPY: usize = 48;

/// How the file stands. Every commit changes it.
type Standing = [u8; COPY];

/// What was found lately.
pub(crate) struct Recent {
    index: Option<WalIndex>,
    sessions: Shelf<Owned, Option<Arc<Session>>>,
    strangers: Shelf<PresentedKey, ()>,
}

impl Recent {
    /// In this file, which exists. Keeps nothing where there is no WAL index to go by.
    pub(crate) fn of(file: &Path) -> Self {
        let index = WalIndex::open(file);
        if let Err(error) = &index {
            tracing::debug!(%error, "what is looked up is read from the file every time");
        }
        Self { index: index.ok(), sessions: Shelf::default(), strangers: Shelf::default() }
    }

    /// This moment. `None` when there is nothing to tell it from others by.
    pub(crate) fn moment(&self) -> Option<Moment<'_>> {
        Some(Moment { recent: self, standing: self.standing()? })
    }

    fn standing(&self) -> Option<Standing> {
        self.index.as_ref()?.standing()
    }
}

/// A moment at which what was found at the same standing can be believed.
pub(crate) struct Moment<'a> {
    recent: &'a Recent,
    standing: Standing,
}

/// It must be looked up.
pub(crate) struct Unknown;

impl Moment<'_> {
    /// What is there for this caller by this name, if that is known: nothing may be.
    pub(crate) fn session(&self, owned: &Owned) -> Result<Option<Session>, Unknown> {
        // Copied when the shelf is free again.
        let known = self.recent.sessions.get(&self.standing, owned).ok_or(Unknown)?;
        Ok(known.as_deref().cloned())
    }

    /// A look-up that began after this moment found this.
    pub(crate) fn found(self, owned: Owned, session: Option<&Session>) {
        if self.lasts() {
            self.recent.sessions.put(self.standing, owned, session.cloned().map(Arc::new));
        }
    }

    /// Whether no good key is known to be shown like this. What is not good at one time is not at any
    /// later one; of good ones that cannot be said, so they are not kept here.
    pub(crate) fn is_strange(&self, shown: &PresentedKey) -> bool {
        self.recent.strangers.get(&self.standing, shown).is_some()
    }

    /// A look-up that began after this moment found no good key.
    pub(crate) fn strange(self, shown: PresentedKey) {
        if self.lasts() {
            self.recent.strangers.put(self.standing, shown, ());
        }
    }

    /// Nothing was committed since: what was read in between was read at this standing.
    fn lasts(&self) -> bool {
        self.recent.standing() == Some(self.standing)
    }
}

/// Answers of one kind, all of them found at one standing.
struct Shelf<K, V>(Mutex<Answers<K, V>>);

struct Answers<K, V> {
    standing: Standing,
    known: HashMap<K, V>,
}

impl<K, V> Default for Shelf<K, V> {
    fn default() -> Self {
        Self(Mutex::new(Answers { standing: [0; COPY], known: HashMap::new() }))
    }
}

impl<K: Eq + Hash, V: Clone> Shelf<K, V> {
    fn get(&self, standing: &Standing, key: &K) -> Option<V> {
        let answers = self.answers();
        if answers.standing == *standing { answers.known.get(key).cloned() } else { None }
    }

    fn put(&self, standing: Standing, key: K, value: V) {
        let mut answers = self.answers();
        if answers.standing != standing || answers.known.len() >= MOST {
            answers.standing = standing;
            answers.known.clear();
        }
        answers.known.insert(key, value);
    }

    fn answers(&self) -> MutexGuard<'_, Answers<K, V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The WAL index of a database.
struct WalIndex {
    /// Never closed: closing any handle of a file gives up all the locks that the process has on it
    /// (fcntl(2), "advisory record locking"), and SQLite's are on this one.
    file: ManuallyDrop<File>,
    /// While a connection is open nobody takes the file away.
    _anchor: Mutex<SqliteConnection>,
}

impl WalIndex {
    fn open(database: &Path) -> Result<Self, Box<dyn std::error::Error>> {
        let mut anchor = sqlite::looker(database)?;
        // Only what reads opens the index.
        diesel::sql_query("SELECT 1 FROM sqlite_schema").execute(&mut anchor)?;
        let mut path = database.as_os_str().to_owned();
        path.push("-shm");
        let file = ManuallyDrop::new(File::open(Path::new(&path))?);
        Ok(Self { file, _anchor: Mutex::new(anchor) })
    }

    /// `None` while it changes.
    #[cfg(unix)]
    fn standing(&self) -> Option<Standing> {
        let mut head = [0; HEAD];
        std::os::unix::fs::FileExt::read_exact_at(&*self.file, &mut head, 0).ok()?;
        let (first, second) = head.split_at(COPY);
        if first == second { first.try_into().ok() } else { None }
    }

    /// Nowhere else is a mapped file known to be read as it was written.
    #[cfg(not(unix))]
    fn standing(&self) -> Option<Standing> {
        None
    }
}

#[cfg(test)]
mod tests {
    use diesel::{Connection as _, connection::SimpleConnection as _};

    use super::*;

    fn shown(n: u8) -> PresentedKey {
        PresentedKey { id: domain::KeyId::from_bits(n.into()), digest: [n; 32] }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_found_is_known_until_somebody_commits() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("berth.db");
        drop(sqlite::create(&file).await.expect("it is made"));
        let recent = Recent::of(&file);
        let moment = || recent.moment().expect("there is an index");
        let mut other = SqliteConnection::establish(&file.to_string_lossy()).expect("opened");
        other.batch_execute("CREATE TABLE t (x)").expect("committed");
        moment().strange(shown(1));
        assert!(moment().is_strange(&shown(1)));
        assert!(!moment().is_strange(&shown(2)));
        other.batch_execute("BEGIN; INSERT INTO t VALUES (1); ROLLBACK").expect("taken back");
        assert!(moment().is_strange(&shown(1)));
        other.batch_execute("INSERT INTO t VALUES (1)").expect("committed");
        assert!(!moment().is_strange(&shown(1)));
        let before = moment();
        other.batch_execute("INSERT INTO t VALUES (2)").expect("committed");
        before.strange(shown(1));
        assert!(!moment().is_strange(&shown(1)), "it may have been read before the commit");
        other.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)").expect("checkpointed");
        other.batch_execute("INSERT INTO t VALUES (3)").expect("committed");
        moment().strange(shown(1));
        drop(other);
        assert!(moment().is_strange(&shown(1)));
    }

    #[test]
    fn memory_stays_bounded() {
        let shelf = Shelf::default();
        for n in 0..MOST * 2 + 5 {
            shelf.put([0; COPY], n, ());
            assert!(shelf.get(&[0; COPY], &n).is_some());
            assert!(shelf.answers().known.len() <= MOST);
        }
    }
}
