//! Runs the migrations on PostgreSQL, under an advisory lock.

use std::time::Duration;

use diesel::ConnectionResult;
use diesel_async::{AsyncMigrationHarness, AsyncPgConnection, RunQueryDsl};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};

use crate::{
    StoreError,
    engine::{
        migrations::{TextColumn, bring_up_to_date, check_encoding},
        postgres::{pooler_check, server::PostgresServer},
    },
};

const POSTGRES: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");

/// Runs the migrations on a separate connection that holds an advisory lock.
pub(crate) async fn run(server: &PostgresServer, timeout: Duration) -> Result<(), StoreError> {
    let mut conn = within_deadline(timeout, server.open_for_migrations()).await?;
    let mut other = within_deadline(timeout, server.open()).await?;
    pooler_check::reject_transaction_pooling(&mut conn, &mut other).await?;
    drop(other);
    let encoding: TextColumn =
        diesel::sql_query("SELECT current_setting('server_encoding') AS text")
            .get_result(&mut conn)
            .await?;
    check_encoding("UTF8", encoding)?;
    // An arbitrary number that identifies berth's migrations.
    lock(&mut conn, "SELECT pg_advisory_lock(5283061749)").await?;
    let mut harness = AsyncMigrationHarness::new(conn);
    let outcome = bring_up_to_date(&mut harness, POSTGRES);
    // The lock also ends with the connection.
    lock(&mut harness.into_inner(), "SELECT pg_advisory_unlock(5283061749)").await?;
    outcome
}

async fn within_deadline(
    timeout: Duration,
    opening: impl Future<Output = ConnectionResult<AsyncPgConnection>>,
) -> Result<AsyncPgConnection, StoreError> {
    tokio::time::timeout(timeout, opening)
        .await
        .map_err(|late| StoreError::Unavailable(late.into()))?
        .map_err(|error| StoreError::Unavailable(error.into()))
}

async fn lock(conn: &mut AsyncPgConnection, statement: &str) -> Result<(), StoreError> {
    diesel::sql_query(statement).execute(conn).await?;
    Ok(())
}
