//! The database: two kinds of pool behind one type, and the macros that run one body on either.
//!
//! Work runs in a task of its own and callers only wait for it. A caller that goes away (a dropped
//! request) must not take a running statement with it: on SQLite that would block the thread it ran
//! on until the statement ends, on PostgreSQL the next user of the connection would wait for the
//! abandoned answer. One row by its key is looked up otherwise: see [`look`](crate::look).

use std::{fmt, sync::Arc, time::Duration};

use deadpool::managed::{Object, PoolError, TimeoutType};
use diesel::prelude::*;
use diesel_async::{
    RunQueryDsl,
    pooled_connection::{AsyncDieselConnectionManager, deadpool::Pool},
};
use domain::{Quotas, Timestamp, ports::PortResult};
use secrecy::ExposeSecret;
use tracing::Instrument;

use crate::{
    Config, StoreError,
    claims::Rotation,
    look::InlineReader,
    migrate,
    postgres::{self, PostgresPool, PostgresServer},
    recent::{CacheEpoch, ReadCache},
    schema::marks,
    sqlite::{self, SqliteConnection},
    target::DatabaseUrl,
    writer::Writer,
};

/// The domain's stores, on SQLite or PostgreSQL. Cheap to clone.
#[derive(Clone)]
pub struct Database {
    pub(crate) pools: Pools,
    pub(crate) rotation: Rotation,
    pub(crate) quotas: Arc<Quotas>,
    deadline: Duration,
}

/// Which database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseKind {
    /// A PostgreSQL server.
    Postgres,
    /// An SQLite file.
    Sqlite,
}

impl DatabaseKind {
    /// Its name, for logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Sqlite => "sqlite",
        }
    }
}

#[derive(Clone)]
pub(crate) enum Pools {
    Postgres(PostgresPool),
    Sqlite(SqlitePools),
}

#[derive(Clone)]
pub(crate) struct SqlitePools {
    pub(crate) writer: Writer,
    pub(crate) read: Pool<SqliteConnection>,
    /// For one row by its key.
    pub(crate) inline_reader: Arc<InlineReader>,
    /// What that found lately.
    pub(crate) read_cache: Arc<ReadCache>,
}

/// Runs a query with a connection of whichever database there is; the body is compiled once for
/// each. `read` and `write` say what for: on SQLite one thread does what is written, so that the body
/// takes along what it needs, and what PostgreSQL could not be asked because the connection was dead is
/// read again by another one. Of a write nobody could say whether it happened. For one row by its key
/// there is [`point_lookup`](crate::look).
macro_rules! with_conn {
    ($database:expr, read, |$conn:ident| $body:expr) => {
        match &$database.pools {
            $crate::pool::Pools::Postgres(pool) => {
                let mut repeatable = true;
                loop {
                    let mut object = $crate::pool::checkout(&pool.connections).await?;
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
            $crate::pool::Pools::Sqlite(pools) => {
                let mut object = $crate::pool::checkout(&pools.read).await?;
                let $conn = &mut *object;
                $body.map_err($crate::StoreError::from)
            }
        }
    };
    ($database:expr, write, |$conn:ident| $body:expr) => {
        match &$database.pools {
            $crate::pool::Pools::Postgres(pool) => {
                let mut object = $crate::pool::checkout(&pool.connections).await?;
                let result = {
                    let $conn = &mut *object;
                    $body
                };
                pool.health.check_result(result, &mut object).await.0
            }
            $crate::pool::Pools::Sqlite(pools) => {
                let work = async move |$conn: &mut $crate::writer::WriterConnection| {
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
            $crate::pool::Pools::Postgres(pool) => {
                let mut object = $crate::pool::checkout(&pool.connections).await?;
                let result: Result<_, $crate::StoreError> =
                    diesel_async::AsyncConnection::transaction(&mut *object, async |$conn| $body)
                        .await;
                pool.health.check_result(result, &mut object).await.0
            }
            $crate::pool::Pools::Sqlite(pools) => {
                let work = async move |$conn: &mut $crate::writer::WriterConnection| $body;
                pools.writer.write(work).await
            }
        }
    };
}

pub(crate) use {with_conn, with_transaction};

pub(crate) async fn checkout<C>(
    pool: &Pool<C>,
) -> Result<Object<AsyncDieselConnectionManager<C>>, StoreError>
where
    AsyncDieselConnectionManager<C>:
        deadpool::managed::Manager<Type = C, Error = diesel_async::pooled_connection::PoolError>,
{
    pool.get().await.map_err(|error| {
        StoreError::Unavailable(match error {
            PoolError::Timeout(TimeoutType::Wait) => "no connection became free in time".into(),
            PoolError::Timeout(_) => "no connection could be opened in time".into(),
            error => error.into(),
        })
    })
}

impl Database {
    /// Opens the database and brings its tables up to date. Two processes may do so at once. Needs
    /// tokio's multi-thread runtime: the migrations block a thread.
    pub async fn connect(config: &Config) -> Result<Self, StoreError> {
        let pools = match DatabaseUrl::parse(config.url.expose_secret())? {
            DatabaseUrl::Postgres(target) => {
                let server = PostgresServer::new(&target, config)?;
                migrate::postgres(&server, config.connect_timeout).await?;
                Pools::Postgres(postgres::pool(&server, config)?)
            }
            DatabaseUrl::Sqlite(file) => {
                migrate::sqlite(sqlite::create(&file).await?).await?;
                Pools::Sqlite(sqlite::pools(&file, config)?)
            }
        };
        let (rotation, quotas) = (Rotation::default(), Arc::default());
        Ok(Self { pools, rotation, quotas, deadline: config.deadline })
    }

    /// Whether it can be reached now and takes writes: one row is written, at this time.
    ///
    /// # Errors
    /// *Unavailable* when it is away, read-only, or its disk is full.
    pub async fn ping(&self, now: Timestamp) -> PortResult<()> {
        self.run(move |database| async move {
            let mark = (marks::name.eq("ping"), marks::at.eq(now.millis()), marks::id.eq(""));
            with_conn!(database, write, |conn| {
                diesel::insert_into(marks::table)
                    .values(mark)
                    .on_conflict(marks::name)
                    .do_update()
                    .set(marks::at.eq(now.millis()))
                    .execute(conn)
                    .await
            })?;
            Ok(())
        })
        .await
    }

    /// What is known at this moment without looking, which is nothing but on SQLite.
    pub(crate) fn epoch(&self) -> Option<CacheEpoch<'_>> {
        match &self.pools {
            Pools::Sqlite(pools) => pools.read_cache.epoch(),
            Pools::Postgres(_) => None,
        }
    }

    /// Which database it is.
    pub fn kind(&self) -> DatabaseKind {
        match self.pools {
            Pools::Postgres(_) => DatabaseKind::Postgres,
            Pools::Sqlite(_) => DatabaseKind::Sqlite,
        }
    }

    /// Runs `work` to its end in a task of its own, and waits for it until the deadline. What is
    /// still under way then goes on, and may yet happen.
    pub(crate) async fn run<T, W, F>(&self, work: W) -> PortResult<T>
    where
        T: Send + 'static,
        W: FnOnce(Self) -> F,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let task = tokio::spawn(self.within_abandon_limit(work(self.clone())).in_current_span());
        let ended = async { task.await.unwrap_or_else(|panic| Err(StoreError::Died(panic))) };
        self.within_deadline(ended).await
    }

    /// Waits until the deadline for what somebody else does to its end.
    pub(crate) async fn within_deadline<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> PortResult<T> {
        let late = || StoreError::Unavailable("the database did not answer in time".into());
        let ended = tokio::time::timeout(self.deadline, work).await;
        Ok(ended.unwrap_or_else(|_| Err(late()))?)
    }

    /// A server that stays silent must not keep its connections for good; the pool discards them
    /// then. SQLite's waits are bounded by its own lock time-out.
    fn within_abandon_limit<T, F>(
        &self,
        work: F,
    ) -> impl Future<Output = Result<T, StoreError>> + Send + use<T, F>
    where
        F: Future<Output = Result<T, StoreError>> + Send,
    {
        let most = match self.kind() {
            DatabaseKind::Postgres => self.deadline.saturating_mul(3),
            DatabaseKind::Sqlite => Duration::MAX,
        };
        async move {
            tokio::time::timeout(most, work).await.unwrap_or_else(|_| {
                Err(StoreError::Unavailable("the database stayed silent".into()))
            })
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("kind", &self.kind()).finish_non_exhaustive()
    }
}
