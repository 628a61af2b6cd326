//! Runs the migrations on PostgreSQL, under an advisory lock.

use std::time::Duration;

use diesel::{ConnectionResult, QueryableByName, sql_types::BigInt};
use diesel_async::{AsyncMigrationHarness, AsyncPgConnection, RunQueryDsl};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};

use crate::{
    StoreError,
    engine::{
        migrations::{TextColumn, bring_up_to_date, check_encoding},
        postgres::{pooler_check, server::PostgresServer},
    },
};

pub(crate) const POSTGRES: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");

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
    let mut conn = harness.into_inner();
    let outcome = match outcome {
        Ok(()) => repair_positions(&mut conn).await,
        Err(error) => Err(error),
    };
    // The lock also ends with the connection.
    lock(&mut conn, "SELECT pg_advisory_unlock(5283061749)").await?;
    outcome
}

/// Moves the sequence of event positions ahead of the stored positions. A database that was restored
/// without its sequences, or switched over by logical replication, which does not copy sequences,
/// would give new events positions that readers have passed. The distance covers stored positions
/// that are not visible yet.
const REPAIR_POSITIONS: &str = "SELECT setval('events_position', newest.position + 1000) AS position
    FROM (SELECT max(position) AS position FROM events WHERE position > 0 AND sequence >= 0) AS newest
    WHERE newest.position > (SELECT last_value FROM events_position)";

#[derive(QueryableByName)]
struct RepairedPosition {
    #[diesel(sql_type = BigInt)]
    position: i64,
}

async fn repair_positions(conn: &mut AsyncPgConnection) -> Result<(), StoreError> {
    let repaired: Vec<RepairedPosition> = diesel::sql_query(REPAIR_POSITIONS).load(conn).await?;
    for RepairedPosition { position } in repaired {
        tracing::warn!(
            position,
            "sequence events_position was behind the stored events, as after a restore without \
             sequences; moved ahead"
        );
    }
    Ok(())
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
