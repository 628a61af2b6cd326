//! Opens the database, and tells a wrong setting from a database that is away.

use anyhow::{Error, Result};
use store_diesel::{Config, Database, StoreError};

use crate::config::Invalid;

/// The database, its migrations run.
pub(crate) async fn open(config: &Config) -> Result<Database> {
    Database::connect(config).await.map_err(|error| match error {
        StoreError::Url(_) => Invalid::new(error.to_string()).into(),
        other => Error::new(other).context("the database cannot be opened"),
    })
}
