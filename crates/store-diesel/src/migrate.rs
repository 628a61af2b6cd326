//! Brings the tables up to date at start, one process at a time: the migration runner takes no lock.

use std::time::Duration;

use diesel::{ConnectionResult, QueryableByName, backend::Backend, migration::MigrationSource};
use diesel_async::{AsyncMigrationHarness, AsyncPgConnection, RunQueryDsl};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::{StoreError, pooler, postgres::PostgresServer, sqlite::SqliteConnection};

const POSTGRES: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");
const SQLITE: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");

/// On a connection of their own, which holds an advisory lock meanwhile.
pub(crate) async fn postgres(server: &PostgresServer, timeout: Duration) -> Result<(), StoreError> {
    let mut conn = within_deadline(timeout, server.open_for_migrations()).await?;
    let mut other = within_deadline(timeout, server.open()).await?;
    pooler::reject_transaction_pooling(&mut conn, &mut other).await?;
    drop(other);
    let encoding: TextColumn =
        diesel::sql_query("SELECT current_setting('server_encoding') AS text")
            .get_result(&mut conn)
            .await?;
    check_encoding("UTF8", encoding)?;
    // The number means nothing but "the migrations of berth".
    lock(&mut conn, "SELECT pg_advisory_lock(5283061749)").await?;
    let mut harness = AsyncMigrationHarness::new(conn);
    let outcome = bring_up_to_date(&mut harness, POSTGRES);
    // The lock ends with the connection in any case.
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

#[derive(QueryableByName)]
struct TextColumn {
    #[diesel(sql_type = diesel::sql_types::Text)]
    text: String,
}

fn check_encoding(encoding: &str, found: TextColumn) -> Result<(), StoreError> {
    if found.text == encoding { Ok(()) } else { Err(StoreError::Encoding { found: found.text }) }
}

async fn lock(conn: &mut AsyncPgConnection, statement: &str) -> Result<(), StoreError> {
    diesel::sql_query(statement).execute(conn).await?;
    Ok(())
}

/// In one transaction that holds the write lock from its start.
pub(crate) async fn sqlite(mut conn: SqliteConnection) -> Result<(), StoreError> {
    conn.spawn_blocking(|conn| {
        let encoding = diesel::sql_query("SELECT encoding AS text FROM pragma_encoding");
        let encoding = diesel::RunQueryDsl::get_result::<TextColumn>(encoding, conn)?;
        let outcome = check_encoding("UTF-8", encoding)
            .and_then(|()| conn.immediate_transaction(|conn| bring_up_to_date(conn, SQLITE)));
        Ok(outcome)
    })
    .await?
}

/// Runs the migrations that have not run, unless there are some that this program does not know.
fn bring_up_to_date<DB: Backend>(
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
