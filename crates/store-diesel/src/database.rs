//! The database: two kinds of pool behind one type, and the macros that run one body on either.
//!
//! Work runs in a task of its own and callers only wait for it. A caller that goes away (a dropped
//! request) must not take a running statement with it: on SQLite that would block the thread it ran
//! on until the statement ends, on PostgreSQL the next user of the connection would wait for the
//! abandoned answer. One row by its key is looked up otherwise: see [`statements`].

use std::{fmt, sync::Arc, time::Duration};

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use domain::{Quotas, Timestamp, ports::PortResult};
use secrecy::ExposeSecret;
use tracing::Instrument;

use crate::{
    Config, StoreError,
    cache::read_cache::CacheEpoch,
    claim_rotation::Rotation,
    database::{pools::Pools, statements::with_conn},
    database_url::DatabaseUrl,
    engine::{
        postgres::{self, server::PostgresServer},
        sqlite::{self, connect},
    },
    schema::marks,
};

pub(crate) mod pools;
pub(crate) mod statements;

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

impl Database {
    /// Opens the database and brings its tables up to date. Two processes may do so at once. Needs
    /// tokio's multi-thread runtime: the migrations block a thread.
    pub async fn connect(config: &Config) -> Result<Self, StoreError> {
        let pools = match DatabaseUrl::parse(config.url.expose_secret())? {
            DatabaseUrl::Postgres(target) => {
                let server = PostgresServer::new(&target, config)?;
                postgres::migrate::run(&server, config.connect_timeout).await?;
                Pools::Postgres(pools::postgres(&server, config)?)
            }
            DatabaseUrl::Sqlite(file) => {
                sqlite::migrate::run(connect::create(&file).await?).await?;
                Pools::Sqlite(pools::sqlite(&file, config)?)
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
