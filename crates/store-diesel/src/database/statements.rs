//! Macros that compile one statement for both engines and run it on the open database.

/// Returns the one row of this type that the query finds, or `None`. See ADR 0018.
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

/// Runs a query on a pooled connection; the body is compiled once for each engine.
///
/// `read`, `feed`, `messages` or `write` states the purpose; `feed` is a read of events or of webhooks in
/// the order of an index, `messages` a read of messages of all organizations by their keys. On SQLite, one thread executes all writes, so the body
/// moves its values to the thread. On PostgreSQL, a read that failed because its connection was
/// dead is repeated once on another connection; a write is never repeated, because its outcome is
/// unknown. For one row by its key use [`point_lookup`].
macro_rules! with_conn {
    ($database:expr, read, |$conn:ident| $body:expr) => {
        with_conn!(@read connections, $database, |$conn| $body)
    };
    ($database:expr, feed, |$conn:ident| $body:expr) => {
        with_conn!(@read feed, $database, |$conn| $body)
    };
    ($database:expr, messages, |$conn:ident| $body:expr) => {
        with_conn!(@read messages, $database, |$conn| $body)
    };
    (@read $pool:ident, $database:expr, |$conn:ident| $body:expr) => {
        match &$database.pools {
            $crate::database::pools::Pools::Postgres(pool) => {
                let mut repeatable = true;
                loop {
                    let mut object = $crate::engine::checkout::checkout(&pool.$pool).await?;
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

/// Runs the body in a transaction. `messages` states that it changes messages of all organizations, on
/// connections whose statements find their rows by keys. `by_keys` states that its statements find their rows by keys, however
/// few rows there are: PostgreSQL plans them as lookups.
macro_rules! with_transaction {
    ($database:expr, by_keys, |$conn:ident| $body:expr) => {
        with_transaction!(@run connections, $database, |$conn| $body, plan_as_lookups)
    };
    ($database:expr, messages, |$conn:ident| $body:expr) => {
        with_transaction!(@run messages, $database, |$conn| $body)
    };
    ($database:expr, |$conn:ident| $body:expr) => {
        with_transaction!(@run connections, $database, |$conn| $body)
    };
    (@run $pool:ident, $database:expr, |$conn:ident| $body:expr $(, $plan:ident)?) => {
        match &$database.pools {
            $crate::database::pools::Pools::Postgres(pool) => {
                let mut object = $crate::engine::checkout::checkout(&pool.$pool).await?;
                let result: Result<_, $crate::StoreError> =
                    diesel_async::AsyncConnection::transaction(&mut *object, async |$conn| {
                        $($crate::engine::postgres::server::$plan($conn).await?;)?
                        $body
                    })
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
