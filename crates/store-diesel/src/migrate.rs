//! Brings the tables up to date at start, one process at a time: the migration runner takes no lock.

use std::time::Duration;

use diesel_async::{AsyncMigrationHarness, AsyncPgConnection, RunQueryDsl};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use domain::ports::BoxError;

use crate::{StoreError, postgres::Server, sqlite::SqliteConnection};

const POSTGRES: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");
const SQLITE: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");

/// On a connection of their own, which holds an advisory lock meanwhile.
pub(crate) async fn postgres(server: &Server, patience: Duration) -> Result<(), StoreError> {
    let mut conn = tokio::time::timeout(patience, server.open_patient())
        .await
        .map_err(|late| StoreError::Unavailable(late.into()))?
        .map_err(|error| StoreError::Unavailable(error.into()))?;
    // The number means nothing but "the migrations of berth".
    lock(&mut conn, "SELECT pg_advisory_lock(5283061749)").await?;
    let mut harness = AsyncMigrationHarness::new(conn);
    let outcome = run(|| harness.run_pending_migrations(POSTGRES));
    // The lock ends with the connection in any case.
    lock(&mut harness.into_inner(), "SELECT pg_advisory_unlock(5283061749)").await?;
    outcome
}

async fn lock(conn: &mut AsyncPgConnection, statement: &str) -> Result<(), StoreError> {
    diesel::sql_query(statement).execute(conn).await?;
    Ok(())
}

/// In one transaction that holds the write lock from its start.
pub(crate) async fn sqlite(mut conn: SqliteConnection) -> Result<(), StoreError> {
    conn.spawn_blocking(|conn| {
        let outcome: Result<(), StoreError> =
            conn.immediate_transaction(|conn| run(|| conn.run_pending_migrations(SQLITE)));
        Ok(outcome)
    })
    .await?
}

fn run<'a>(
    work: impl FnOnce() -> Result<Vec<diesel::migration::MigrationVersion<'a>>, BoxError>,
) -> Result<(), StoreError> {
    for version in work().map_err(StoreError::Migration)? {
        tracing::info!(%version, "the database was migrated");
    }
    Ok(())
}
