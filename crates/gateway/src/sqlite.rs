//! A SQLite file with one writer thread, whose concurrent writes share commits, and a few reader
//! threads. The device keys and the journal are such files.

mod database;
mod writer;

use std::io;

use wacore::store::error::StoreError;

pub(crate) use self::database::{Database, Layout};

/// Result of a read or write.
pub(crate) type Result<T> = std::result::Result<T, StoreError>;

pub(crate) fn database_error(what: &str) -> StoreError {
    StoreError::Database(what.into())
}

pub(crate) fn sqlite_error(error: rusqlite::Error) -> StoreError {
    StoreError::Database(Box::new(error))
}

/// Returns whether the file itself is at fault, in contrast to its layout.
pub(crate) fn is_file_error(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.is::<rusqlite::Error>() || cause.is::<io::Error>())
}
