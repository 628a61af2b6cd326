//! Notices a pooler that gives every transaction another connection to PostgreSQL, as PgBouncer does in
//! transaction mode: what is set for a session would be set for somebody else.

use diesel::{QueryResult, result::Error as QueryError};
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};

use crate::{StoreError, engine::postgres::sqlstate};

/// The error that says so: a class that PostgreSQL leaves to others.
const MARK_LOST: &str = "BR001";

/// Refuses two connections that are not to a server, each for itself.
///
/// Each sets a setting of its own and looks whether it is still there. Connections that a pooler hands out
/// by turns are met again after an odd number of statements.
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
    // Not prepared: that is one of the things that do not last.
    let statement = format!(
        "DO $$ BEGIN IF current_setting('berth.connection', true) IS DISTINCT FROM '{name}' THEN
            RAISE EXCEPTION 'not the same connection' USING ERRCODE = '{MARK_LOST}';
        END IF; END $$"
    );
    conn.batch_execute(&statement).await
}
