//! The head of the WAL index of an SQLite file, which changes at every commit.

use std::{fs::File, mem::ManuallyDrop, path::Path, sync::Mutex};

use diesel::{RunQueryDsl, SqliteConnection};

use crate::engine::sqlite::connect;

/// The two copies of the head of the WAL index. They differ while a commit is being published.
const HEAD_COPIES: usize = 2 * HEAD_SIZE;

pub(crate) const HEAD_SIZE: usize = 48;

/// How the file stands. Every commit changes it.
pub(crate) type WalHead = [u8; HEAD_SIZE];

/// The WAL index of a database.
pub(crate) struct WalIndex {
    /// Never closed: closing any handle of a file gives up all the locks that the process has on it
    /// (fcntl(2), "advisory record locking"), and SQLite's are on this one.
    file: ManuallyDrop<File>,
    /// While a connection is open nobody takes the file away.
    _anchor: Mutex<SqliteConnection>,
}

impl WalIndex {
    pub(crate) fn open(database: &Path) -> Result<Self, Box<dyn std::error::Error>> {
        let mut anchor = connect::open_inline_reader(database)?;
        // Only what reads opens the index.
        diesel::sql_query("SELECT 1 FROM sqlite_schema").execute(&mut anchor)?;
        let mut path = database.as_os_str().to_owned();
        path.push("-shm");
        let file = ManuallyDrop::new(File::open(Path::new(&path))?);
        Ok(Self { file, _anchor: Mutex::new(anchor) })
    }

    /// `None` while it changes.
    #[cfg(unix)]
    pub(crate) fn head(&self) -> Option<WalHead> {
        let mut head = [0; HEAD_COPIES];
        std::os::unix::fs::FileExt::read_exact_at(&*self.file, &mut head, 0).ok()?;
        let (first, second) = head.split_at(HEAD_SIZE);
        if first == second { first.try_into().ok() } else { None }
    }

    /// Nowhere else is a mapped file known to be read as it was written.
    #[cfg(not(unix))]
    pub(crate) fn head(&self) -> Option<WalHead> {
        None
    }
}
