//! Opens the database, and distinguishes a wrong setting from an unreachable database.

use std::path::{Path, PathBuf};

use anyhow::{Error, Result};
use store_diesel::{Config, Database, StoreError};

use crate::invalid::Invalid;

/// Opens the database and runs its migrations.
///
/// # Errors
/// [`Invalid`] if the URL cannot be used; another error if the database cannot be opened.
pub(crate) async fn open(config: &Config) -> Result<Database> {
    Database::connect(config).await.map_err(|error| match error {
        StoreError::Url(_) => Invalid::new(error.to_string()).into(),
        other => Error::new(other).context("the database cannot be opened"),
    })
}

/// Returns the folder of an SQLite database; `None` on PostgreSQL.
pub(crate) fn folder(database: &Database) -> Option<PathBuf> {
    let folder = database.file()?.parent().filter(|folder| !folder.as_os_str().is_empty());
    // A file without a folder is in the current one.
    Some(folder.unwrap_or(Path::new(".")).to_owned())
}
