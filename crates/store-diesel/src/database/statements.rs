//! Macros that compile one statement for both databases and run it on the one that is open.

/// Looks up the row of this type that a query finds.
macro_rules! point_lookup {
    ($database:expr, $row:ty, $query:expr) => {{
        use diesel::{OptionalExtension, QueryDsl, SelectableHelper};
        match &$database.pools {
            $crate::database::pools::Pools::Sqlite(pools) => {
                $crate::engine::sqlite::inline_reader::inline_lookup!(
                    pools.inline_reader,
                    $row,
                    $query
                )
            }
            $crate::database::pools::Pools::Postgres(pool) => {
                $crate::engine::postgres::pipelined_pool::pipelined!(pool.lookups, |conn| {
                    let query = $query.select(<$row>::as_select());
                    diesel_async::RunQueryDsl::get_result::<$row>(query, conn).await.optional()
                })
            }
        }
    }};
}

/// Runs a query with a connection of whichever database there is; the body is compiled once for
/// each. `read` and `write` say what for: on SQLite one thread does what is written, so that the body
/// takes along what it needs, and what PostgreSQL could not be asked because the connection was dead is
/// read again by another one. Of a write nobody could say whether it happened. For one row by its key
/// there is [`point_lookup`](crate::engine::postgres::pipelined_pool).
macro_rules! with_conn {
    ($database:expr, read, |$conn:ident| $body:expr) => {
        match &$database.pools {
            $crate::database::pools::Pools::Postgres(pool) => {
                let mut repeatable = true;
                loop {
                    let mut object = $crate::engine::checkout::checkout(&pool.connections).await?;
                    let result = {
                        let $conn = &mut *object;
                        $body
                    };
                    let (result, lives) = pool.health.check_result(result, &mut object).await;
                    if lives || !std::mem::take(&mut repeatable) {
                        break result;
                    }
                }
            }
            $crate::database::pools::Pools::Sqlite(pools) => {
                let mut object = $crate::engine::checkout::checkout(&pools.read).await?;
                let $conn = &mut *object;
                $body.map_err($crate::StoreError::from)
            }
        }
    };
    ($database:expr, write, |$conn:ident| $body:expr) => {
        match &$database.pools {
            $crate::database::pools::Pools::Postgres(pool) => {
                let mut object = $crate::engine::checkout::checkout(&pool.connections).await?;
                let result = {
                    let $conn = &mut *object;
                    $body
                };
                pool.health.check_result(result, &mut object).await.0
            }
            $crate::database::pools::Pools::Sqlite(pools) => {
                let work =
                    async move |$conn: &mut $crate::engine::sqlite::writer::WriterConnection| {
                        $body.map_err($crate::StoreError::from)
                    };
                pools.writer.write(work).await
            }
        }
    };
}

/// The same in a transaction.
macro_rules! with_transaction {
    ($database:expr, |$conn:ident| $body:expr) => {
        match &$database.pools {
            $crate::database::pools::Pools::Postgres(pool) => {
                let mut object = $crate::engine::checkout::checkout(&pool.connections).await?;
                let result: Result<_, $crate::StoreError> =
                    diesel_async::AsyncConnection::transaction(&mut *object, async |$conn| $body)
                        .await;
                pool.health.check_result(result, &mut object).await.0
            }
            $crate::database::pools::Pools::Sqlite(pools) => {
                let work =
                    async move |$conn: &mut $crate::engine::sqlite::writer::WriterConnection| $body;
                pools.writer.write(work).await
            }
        }
    };
}

pub(crate) use point_lookup;
pub(crate) use {with_conn, with_transaction};
