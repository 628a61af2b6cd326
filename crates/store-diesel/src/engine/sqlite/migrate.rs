//! Runs the migrations on SQLite, in one transaction.

use diesel_migrations::{EmbeddedMigrations, embed_migrations};

use crate::{
    StoreError,
    engine::{
        migrations::{TextColumn, bring_up_to_date, check_encoding},
        sqlite::connect::SqliteConnection,
    },
};

pub(crate) const SQLITE: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");

/// Runs the migrations in one transaction that holds the write lock from its start.
pub(crate) async fn run(mut conn: SqliteConnection) -> Result<(), StoreError> {
    conn.spawn_blocking(|conn| {
        let encoding = diesel::sql_query("SELECT encoding AS text FROM pragma_encoding");
        let encoding = diesel::RunQueryDsl::get_result::<TextColumn>(encoding, conn)?;
        let outcome = check_encoding("UTF-8", encoding)
            .and_then(|()| conn.immediate_transaction(|conn| bring_up_to_date(conn, SQLITE)));
        Ok(outcome)
    })
    .await?
}
