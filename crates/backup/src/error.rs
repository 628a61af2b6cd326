//! [`BackupError`]: why a back-up cannot be written or restored.

use std::{io, path::PathBuf};

/// The error of a back-up or a restore. Every message names the file or the key, and no message
/// contains a secret.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Path of the file.
        path: PathBuf,
        /// Error of the system.
        #[source]
        source: io::Error,
    },
    /// The file does not begin as a back-up does.
    #[error("{0} is not a back-up of berth")]
    NotABackup(PathBuf),
    /// A newer program wrote the file.
    #[error(
        "the back-up is of a newer program: {found}, and this program knows {known}; use a newer program"
    )]
    Newer {
        /// What the back-up has.
        found: String,
        /// What this program knows.
        known: String,
    },
    /// The other program wrote the file.
    #[error("the back-up is of {found}, and this program is {expected}")]
    OtherProgram {
        /// Program of the back-up.
        found: String,
        /// This program.
        expected: &'static str,
    },
    /// Another key sealed the file.
    #[error(
        "the back-up is sealed by the key with the id {needed}; BERTH_BACKUP_KEY has the id {given}"
    )]
    OtherKey {
        /// Id of the key of the back-up.
        needed: String,
        /// Id of the given key.
        given: String,
    },
    /// The file ends before its last chunk.
    #[error("{0} is cut: its end is missing")]
    Cut(PathBuf),
    /// The file was changed after it was written.
    #[error("{0} was altered after it was written, or is damaged")]
    Altered(PathBuf),
    /// A file or folder exists and must not.
    #[error("{0} exists already and is not replaced")]
    Exists(PathBuf),
    /// The folder of a restore contains files.
    #[error("{0} is not empty: it is in use, or was; restore into a new folder")]
    NotEmpty(PathBuf),
    /// SQLite cannot copy or check a database.
    #[error("the database {path}: {source}")]
    Database {
        /// Path of the database.
        path: PathBuf,
        /// Error of SQLite.
        #[source]
        source: rusqlite::Error,
    },
    /// A database is damaged.
    #[error("the database {path} is damaged: {finding}")]
    Damaged {
        /// Path of the database.
        path: PathBuf,
        /// First finding of SQLite's check.
        finding: String,
    },
}

impl BackupError {
    /// Returns a conversion of an error of the system with this path.
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }

    pub(crate) fn database(path: impl Into<PathBuf>) -> impl FnOnce(rusqlite::Error) -> Self {
        let path = path.into();
        move |source| Self::Database { path, source }
    }
}
