//! Detects a pooler that assigns connections per transaction, as PgBouncer does in transaction
//! mode. Settings of a session would then apply to other sessions.

use diesel::{QueryResult, result::Error as QueryError};
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};

use crate::{StoreError, engine::postgres::sqlstate};

/// SQLSTATE of a lost mark; the class is unused by PostgreSQL.
const MARK_LOST: &str = "BR001";

/// Rejects two connections that are not each bound to one server connection.
///
/// Each connection sets its own value of a setting and reads the value back. With a pooler that
/// alternates between connections, the order of the statements leads to a foreign value.
///
/// # Errors
/// [`StoreError::Pooled`] when a connection does not find its own value.
pub(crate) async fn reject_transaction_pooling(
    first: &mut AsyncPgConnection,
    second: &mut AsyncPgConnection,
) -> Result<(), StoreError> {
    let query = async {
        set_mark(first, "first").await?;
        set_mark(second, "second").await?;
        check_mark(second, "second").await?;
        check_mark(first, "first").await?;
        check_mark(first, "first").await?;
        check_mark(second, "second").await
    };
    match query.await {
        Err(QueryError::DatabaseError(_, info))
            if sqlstate::of(info.as_ref()) == Some(MARK_LOST) =>
        {
            Err(StoreError::Pooled)
        }
        query => Ok(query?),
    }
}

async fn set_mark(conn: &mut AsyncPgConnection, name: &str) -> QueryResult<()> {
    conn.batch_execute(&format!("SET berth.connection = '{name}'")).await
}

async fn check_mark(conn: &mut AsyncPgConnection, name: &str) -> QueryResult<()> {
    // A simple query: prepared statements do not survive such a pooler.
    let statement = format!(
        "DO $$ BEGIN IF current_setting('berth.connection', true) IS DISTINCT FROM '{name}' THEN
            RAISE EXCEPTION 'not the same connection' USING ERRCODE = '{MARK_LOST}';
        END IF; END $$"
    );
    conn.batch_execute(&statement).await
}
