//! Reads the head of the WAL index of an SQLite file.
//!
//! SQLite rewrites the head with every commit of any process, before the commit returns, and every
//! reader relies on the head (SQLite's "WAL-mode File Format", the section on the WAL-index
//! header). Reading these bytes costs one system call.
//!
//! Decision: ADR 0020.

use std::{fs::File, mem::ManuallyDrop, path::Path, sync::Mutex};

use diesel::{RunQueryDsl, SqliteConnection};

use crate::engine::sqlite::connect;

/// Bytes of the two copies of the head. The copies differ while a commit is being published.
const HEAD_COPIES: usize = 2 * HEAD_SIZE;

pub(crate) const HEAD_SIZE: usize = 48;

/// One copy of the head. Every commit changes the head.
pub(crate) type WalHead = [u8; HEAD_SIZE];

/// The open WAL index (the file `-shm`) of a database.
pub(crate) struct WalIndex {
    /// Never closed: closing any handle of a file releases all locks of the process on the file
    /// (fcntl(2), "advisory record locking"), including those of SQLite.
    file: ManuallyDrop<File>,
    /// SQLite keeps the file while a connection is open.
    _anchor: Mutex<SqliteConnection>,
}

impl WalIndex {
    pub(crate) fn open(database: &Path) -> Result<Self, Box<dyn std::error::Error>> {
        let mut anchor = connect::open_inline_reader(database)?;
        // A connection opens the index at its first read.
        diesel::sql_query("SELECT 1 FROM sqlite_schema").execute(&mut anchor)?;
        let mut path = database.as_os_str().to_owned();
        path.push("-shm");
        let file = ManuallyDrop::new(File::open(Path::new(&path))?);
        Ok(Self { file, _anchor: Mutex::new(anchor) })
    }

    /// Returns the head; `None` while a commit is being published or when the file cannot be read.
    #[cfg(unix)]
    pub(crate) fn head(&self) -> Option<WalHead> {
        let mut head = [0; HEAD_COPIES];
        std::os::unix::fs::FileExt::read_exact_at(&*self.file, &mut head, 0).ok()?;
        let (first, second) = head.split_at(HEAD_SIZE);
        if first == second { first.try_into().ok() } else { None }
    }

    /// Always `None`: on other systems no rule states that reads of a mapped file return the mapped
    /// content.
    #[cfg(not(unix))]
    pub(crate) fn head(&self) -> Option<WalHead> {
        None
    }
}
