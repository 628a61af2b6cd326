//! Opens the database, and distinguishes a wrong setting from an unreachable database.

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
