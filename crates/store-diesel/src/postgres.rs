//! Connections to PostgreSQL: opened with TLS and time limits, checked before they are trusted again.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use deadpool::{
    Runtime,
    managed::{Hook, HookError, Timeouts},
};
use diesel::{
    ConnectionError, ConnectionResult,
    result::{DatabaseErrorKind, Error as QueryError},
};
use diesel_async::{
    AsyncPgConnection, RunQueryDsl,
    pooled_connection::{
        AsyncDieselConnectionManager, ManagerConfig, PoolableConnection, RecyclingMethod,
        deadpool::Pool,
    },
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{
    Config, StoreError,
    commits::{self, Commits, Lines},
    gathered::Gathered,
    look::Shared,
    target::PostgresTarget,
    tls,
    turns::Turns,
};

/// A connection that was used within this time is taken to be alive.
const TRUSTED_FOR: Duration = Duration::from_millis(500);

/// How long a connection may take to show that it is alive.
const PING: Duration = Duration::from_secs(1);

/// How statements that find rows by their keys, and do nothing else, are planned: once, and not by how many rows the table
/// happened to have then.
const LOOKER: &str = "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off \
    -c enable_hashjoin=off -c enable_mergejoin=off";

/// How long changes that are written together wait for a row that somebody else has locked.
const IMPATIENT: &str = "-c lock_timeout=50";

/// A server and how to connect to it.
#[derive(Clone)]
pub(crate) struct Server {
    config: tokio_postgres::Config,
    tls: MakeRustlsConnect,
}

impl Server {
    pub(crate) fn new(target: &PostgresTarget, config: &Config) -> Result<Self, StoreError> {
        let mut server = target.config.clone();
        server.ssl_mode(target.mode.wire());
        if server.get_connect_timeout().is_none() {
            server.connect_timeout(config.connect_timeout);
        }
        if server.get_tcp_user_timeout().is_none() {
            // A peer that vanished without a word is noticed by then.
            server.tcp_user_timeout(Duration::from_secs(10));
        }
        if server.get_application_name().is_none() {
            server.application_name("berth");
        }
        let server = Self { config: server, tls: tls::connector(target.mode, &target.trust)? };
        // The server gives up no later than the one who asked.
        Ok(server.with(&format!(
            "-c statement_timeout={} -c idle_in_transaction_session_timeout=15000",
            config.deadline.as_millis(),
        )))
    }

    /// A connection whose statements may take long: for migrations.
    pub(crate) async fn open_patient(&self) -> ConnectionResult<AsyncPgConnection> {
        let mut patient = self.clone();
        let own = patient.config.get_options().unwrap_or_default().to_owned();
        patient.config.options(format!("{own} -c statement_timeout=0 -c lock_timeout=60000"));
        patient.open().await
    }

    /// The same with these options. Those that it has come last, so the operator's own win.
    fn with(&self, options: &str) -> Self {
        let mut server = self.clone();
        let own = server.config.get_options().unwrap_or_default().to_owned();
        server.config.options(format!("{options} {own}"));
        server
    }

    pub(crate) async fn open(&self) -> ConnectionResult<AsyncPgConnection> {
        let (client, connection) = self
            .config
            .connect(self.tls.clone())
            .await
            .map_err(|error| ConnectionError::BadConnection(chain(&error)))?;
        AsyncPgConnection::try_from_client_and_connection(client, connection).await
    }
}

/// An error with its causes, which the driver's own text leaves out.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

/// The connections to a server, and what is known of its health.
#[derive(Clone)]
pub(crate) struct PostgresPool {
    pub(crate) connections: Pool<AsyncPgConnection>,
    /// For one row by its key.
    pub(crate) look: Arc<Shared>,
    /// For sessions among those.
    pub(crate) gathered: Arc<Gathered>,
    /// For changes.
    pub(crate) commits: Arc<Commits>,
    pub(crate) health: Arc<Health>,
    /// For transactions that count something of an organization.
    pub(crate) turns: Arc<Turns>,
}

/// When a connection was last found dead.
#[derive(Default)]
pub(crate) struct Health(Mutex<Option<Instant>>);

impl Health {
    /// One was found dead just now; others may have died with it.
    pub(crate) fn doubt(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether a connection that was last used so long ago can be taken to be alive.
    fn trusts(&self, last_used: Duration) -> bool {
        let found_dead = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last_used < TRUSTED_FOR && found_dead.is_none_or(|at| last_used < at.elapsed())
    }

    /// Tells a statement that PostgreSQL refused from one that it could not answer any more, and
    /// whether the connection still lives.
    ///
    /// A server that is shutting down ends connections with an error that looks like any other, and
    /// its text depends on the server's language; but its connection is dead afterwards.
    pub(crate) async fn judged<T, E: Into<StoreError>>(
        &self,
        result: Result<T, E>,
        conn: &mut AsyncPgConnection,
    ) -> (Result<T, StoreError>, bool) {
        let result = match result.map_err(Into::into) {
            Err(StoreError::Query(error)) if is_unknown(&error) && !is_alive(conn).await => {
                Err(StoreError::Unavailable(error.into()))
            }
            result => result,
        };
        let dead = matches!(result, Err(StoreError::Unavailable(_))) && conn.is_broken();
        if dead {
            self.doubt();
        }
        (result, !dead)
    }
}

pub(crate) fn pool(server: &Server, config: &Config) -> Result<PostgresPool, StoreError> {
    let health = Arc::<Health>::default();
    let alone = connections(server.clone(), config.max_connections, config, health.clone())?;
    let by_keys = server.with(LOOKER);
    let together = by_keys.with(IMPATIENT);
    let together = connections(together, commits::CONNECTIONS, config, health.clone())?;
    let look = Arc::new(Shared::new(by_keys, config, health.clone()));
    let gathered = Arc::new(Gathered::new(look.clone(), config.deadline));
    let commits = Arc::new(Commits::new(Lines {
        alone: alone.clone(),
        together,
        health: health.clone(),
        patience: config.deadline.saturating_mul(3),
    }));
    let turns = Arc::default();
    Ok(PostgresPool { connections: alone, look, gathered, commits, health, turns })
}

/// Up to so many connections to this server.
fn connections(
    server: Server,
    size: u32,
    config: &Config,
    health: Arc<Health>,
) -> Result<Pool<AsyncPgConnection>, StoreError> {
    let mut manager = ManagerConfig::default();
    manager.recycling_method = RecyclingMethod::Fast;
    manager.custom_setup = Box::new(move |_| {
        let server = server.clone();
        Box::pin(async move { server.open().await })
    });
    let manager = AsyncDieselConnectionManager::new_with_config("", manager);
    Pool::builder(manager)
        .max_size(size.max(1) as usize)
        .timeouts(Timeouts {
            wait: Some(config.acquire_timeout),
            create: Some(config.connect_timeout),
            recycle: Some(PING),
        })
        // After the server was away, connections that died meanwhile must not cost anybody a
        // request: one that has rested, or was last used before another was found dead, is asked
        // first, and replaced when it does not answer.
        .pre_recycle(Hook::async_fn(move |conn: &mut AsyncPgConnection, metrics| {
            let trusted = health.trusts(metrics.last_used());
            Box::pin(async move {
                if trusted || is_alive(conn).await {
                    Ok(())
                } else {
                    Err(HookError::message("the connection is dead"))
                }
            })
        }))
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(|error| StoreError::Unavailable(error.into()))
}

pub(crate) async fn is_alive(mut conn: &AsyncPgConnection) -> bool {
    let ping = diesel::sql_query("SELECT 1").execute(&mut conn);
    matches!(tokio::time::timeout(PING, ping).await, Ok(Ok(_)))
}

pub(crate) fn is_unknown(error: &QueryError) -> bool {
    matches!(error, QueryError::DatabaseError(DatabaseErrorKind::Unknown, _))
}
