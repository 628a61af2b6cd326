//! Runs pending migrations. The callers ensure that one process at a time does so, because the
//! migration runner takes no lock.

use diesel::{QueryableByName, backend::Backend, migration::MigrationSource};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness};

use crate::StoreError;

#[derive(QueryableByName)]
pub(crate) struct TextColumn {
    #[diesel(sql_type = diesel::sql_types::Text)]
    pub(crate) text: String,
}

pub(crate) fn check_encoding(encoding: &str, found: TextColumn) -> Result<(), StoreError> {
    if found.text == encoding { Ok(()) } else { Err(StoreError::Encoding { found: found.text }) }
}

/// Runs the pending migrations.
///
/// # Errors
/// [`StoreError::Newer`] when the database has a migration that this program does not know.
pub(crate) fn bring_up_to_date<DB: Backend>(
    harness: &mut impl MigrationHarness<DB>,
    source: EmbeddedMigrations,
) -> Result<(), StoreError> {
    let known = MigrationSource::<DB>::migrations(&source).map_err(StoreError::Migration)?;
    let known: Vec<String> =
        known.iter().map(|migration| migration.name().version().to_string()).collect();
    let applied = harness.applied_migrations().map_err(StoreError::Migration)?;
    let unknown = applied.iter().map(ToString::to_string).filter(|it| !known.contains(it));
    if let Some(found) = unknown.max() {
        let known = known.into_iter().max().unwrap_or_default();
        return Err(StoreError::Newer { found, known });
    }
    for version in harness.run_pending_migrations(source).map_err(StoreError::Migration)? {
        tracing::info!(%version, "the database was migrated");
    }
    Ok(())
}
