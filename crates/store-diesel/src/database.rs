//! The database: opens either engine, and runs work with a deadline.
//!
//! Work runs in a task of its own and callers wait for the task. A caller that goes away (a dropped
//! request) must not cancel a running statement: on SQLite, a cancelled statement would block its
//! thread until the statement ends; on PostgreSQL, the next user of the connection would wait for
//! the abandoned answer. Point lookups need no task: see [`statements`].

use std::{fmt, path::Path, sync::Arc, time::Duration};

use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;
use domain::{
    Quotas, Timestamp,
    ports::{PortResult, SecretSealer},
};
use futures_util::FutureExt as _;
use secrecy::ExposeSecret;
use tracing::Instrument;

use crate::{
    Config, StoreError,
    claim_rotation::Rotation,
    database::{pools::Pools, statements::with_conn},
    database_url::DatabaseUrl,
    engine::{
        postgres::{self, server::PostgresServer},
        sqlite::{self, connect},
    },
    scope::bound_query::bound_query,
    tables::marks::SET_MARK,
};

pub(crate) mod inspection;
pub(crate) mod pools;
pub(crate) mod statements;

/// The domain's stores on SQLite or PostgreSQL. Clones share the connections.
#[derive(Clone)]
pub struct Database {
    pub(crate) pools: Pools,
    pub(crate) rotation: Rotation,
    pub(crate) quotas: Arc<Quotas>,
    /// Seals the content of messages. `None` stores the content plain.
    pub(crate) sealer: Option<Arc<dyn SecretSealer>>,
    deadline: Duration,
}

/// The engine of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseKind {
    /// A PostgreSQL server.
    Postgres,
    /// An SQLite file.
    Sqlite,
}

impl DatabaseKind {
    /// Returns the engine's name for log fields: `postgres` or `sqlite`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Sqlite => "sqlite",
        }
    }
}

impl Database {
    /// Opens the database and runs the pending migrations. Several processes may start at once.
    /// Needs tokio's multi-thread runtime, because the migrations block a thread.
    ///
    /// # Errors
    /// [`StoreError::Url`] and [`StoreError::Tls`] for an unusable configuration,
    /// [`StoreError::Unavailable`] for a database that does not answer, [`StoreError::Newer`],
    /// [`StoreError::Encoding`] and [`StoreError::Pooled`] for a database that berth cannot use.
    pub async fn connect(config: &Config) -> Result<Self, StoreError> {
        let pools = match DatabaseUrl::parse(config.url.expose_secret())? {
            DatabaseUrl::Postgres(target) => {
                let server = PostgresServer::new(&target, config)?;
                // Boxed, because the future is large and runs once.
                Box::pin(postgres::migrate::run(&server, config.connect_timeout)).await?;
                Pools::Postgres(pools::postgres(&server, config)?)
            }
            DatabaseUrl::Sqlite(file) => {
                sqlite::migrate::run(connect::create(&file).await?).await?;
                Pools::Sqlite(pools::sqlite(&file, config)?)
            }
        };
        Ok(Self::of_pools(pools, config))
    }

    pub(crate) fn of_pools(pools: Pools, config: &Config) -> Self {
        let (rotation, quotas) = (Rotation::default(), Arc::default());
        Self { pools, rotation, quotas, sealer: None, deadline: config.deadline }
    }

    /// Checks that the database answers and accepts writes, by writing `now` to one row.
    ///
    /// # Errors
    /// *Unavailable* when the database does not answer, is read-only, or has a full disk.
    pub async fn ping(&self, now: Timestamp) -> PortResult<()> {
        self.run(move |database| async move {
            with_conn!(database, write, |conn| {
                bound_query!(SET_MARK, Text: "ping", BigInt: now.millis(), Text: "")
                    .execute(conn)
                    .await
            })?;
            Ok(())
        })
        .await
    }

    /// Returns the file of an SQLite database; `None` on PostgreSQL.
    pub fn file(&self) -> Option<&Path> {
        match &self.pools {
            Pools::Sqlite(pools) => Some(&pools.file),
            Pools::Postgres(_) => None,
        }
    }

    /// Returns the engine of the database.
    pub fn kind(&self) -> DatabaseKind {
        match self.pools {
            Pools::Postgres(_) => DatabaseKind::Postgres,
            Pools::Sqlite(_) => DatabaseKind::Sqlite,
        }
    }

    /// Runs `work` to its end in a task of its own, and waits for the task until the deadline. Work
    /// that is in flight at the deadline continues and may still be committed.
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

    /// Waits until the deadline for work that another task runs to its end.
    // An async function would hold the work twice: as its argument, and as it is awaited.
    pub(crate) fn within_deadline<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> impl Future<Output = PortResult<T>> {
        let late = || StoreError::Unavailable("the database did not answer in time".into());
        let ended = tokio::time::timeout(self.deadline, work);
        ended.map(move |ended| Ok(ended.unwrap_or_else(|_| Err(late()))?))
    }

    /// Ends work on PostgreSQL at three deadlines, so that a silent server does not hold
    /// connections forever; the pool then discards them. The lock time-out of SQLite already bounds
    /// its waits.
    fn within_abandon_limit<T, F>(
        &self,
        work: F,
    ) -> impl Future<Output = Result<T, StoreError>> + Send + use<T, F>
    where
        F: Future<Output = Result<T, StoreError>> + Send,
    {
        let limit = match self.kind() {
            DatabaseKind::Postgres => self.deadline.saturating_mul(3),
            DatabaseKind::Sqlite => Duration::MAX,
        };
        tokio::time::timeout(limit, work).map(|ended| {
            ended.unwrap_or_else(|_| {
                Err(StoreError::Unavailable("the database did not answer".into()))
            })
        })
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("kind", &self.kind()).finish_non_exhaustive()
    }
}
