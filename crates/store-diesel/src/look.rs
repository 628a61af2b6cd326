//! Looking up one row by its key, which is most of what a database is asked, without a task, a thread
//! or a turn at a connection.
//!
//! On SQLite it takes some microseconds, so it is done where it is asked for: to hand it to a thread
//! for blocking work and to wait for that cost ten times as much. On PostgreSQL look-ups share a few
//! connections and are sent without waiting for the answers to those before (pipelining, as the
//! protocol's section on it calls this): the server answers several in one turn of its process. One
//! that is abandoned leaves nothing behind there, for the connection reads its answer all the same.
//! What is known without looking is in [`read_cache`](crate::recent), and how look-ups of sessions become
//! one statement in [`batched_lookup`](crate::gathered).
//!
//! Decision: ADR 0018.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use diesel::{QueryResult, SqliteConnection};
use diesel_async::AsyncPgConnection;

use crate::{
    StoreError,
    health::{Health, is_alive, is_unclassified},
    postgres::PostgresServer,
    sqlite,
};

/// Looks up the row of this type that a query finds in an SQLite file, by `get_result` and not by `first`:
/// that binds a `LIMIT`, and SQLite plans a statement with a bound limit anew at every run.
macro_rules! inline_lookup {
    ($prompt:expr, $row:ty, $query:expr) => {
        $prompt.run(|conn| {
            use diesel::{OptionalExtension, QueryDsl, SelectableHelper};
            let query = $query.select(<$row>::as_select());
            diesel::RunQueryDsl::get_result::<$row>(query, conn).optional()
        })
    };
}

/// Looks up the row of this type that a query finds.
macro_rules! point_lookup {
    ($database:expr, $row:ty, $query:expr) => {{
        use diesel::{OptionalExtension, QueryDsl, SelectableHelper};
        match &$database.pools {
            $crate::pool::Pools::Sqlite(pools) => {
                $crate::look::inline_lookup!(pools.inline_reader, $row, $query)
            }
            $crate::pool::Pools::Postgres(pool) => $crate::look::pipelined!(pool.lookups, |conn| {
                let query = $query.select(<$row>::as_select());
                diesel_async::RunQueryDsl::get_result::<$row>(query, conn).await.optional()
            }),
        }
    }};
}

/// Asks PostgreSQL a question over one of the shared connections. What could not be asked because the
/// connection was dead is asked again on another one.
macro_rules! pipelined {
    ($shared:expr, |$conn:ident| $question:expr) => {{
        let asking = async {
            let mut repeatable = true;
            loop {
                let connection = $shared.connection().await?;
                let answer = {
                    let $conn = &mut &*connection;
                    $question
                };
                let (result, lives) = $shared.check_result(answer, &connection).await;
                if lives || !std::mem::take(&mut repeatable) {
                    break result;
                }
            }
        };
        $shared.within_deadline(asking).await
    }};
}

pub(crate) use {inline_lookup, pipelined, point_lookup};

/// How many connections look-ups have: as many as can be busy at once, and no more than a server
/// notices.
fn lookup_connections() -> usize {
    thread::available_parallelism().map_or(1, usize::from).clamp(1, 4)
}

/// Connections to an SQLite file that are used where one is.
pub(crate) struct InlineReader {
    file: PathBuf,
    connections: Box<[Mutex<Option<SqliteConnection>>]>,
}

impl InlineReader {
    pub(crate) fn new(file: PathBuf) -> Self {
        let connections = (0..=lookup_connections()).map(|_| Mutex::default()).collect();
        Self { file, connections }
    }

    /// Runs a look-up here and now. After a failure the connection is not used again.
    pub(crate) fn run<T>(
        &self,
        lookup: impl FnOnce(&mut SqliteConnection) -> QueryResult<T>,
    ) -> Result<T, StoreError> {
        let mut locked = self.free_connection();
        let mut conn = match locked.take() {
            Some(conn) => conn,
            None => sqlite::open_inline_reader(&self.file)
                .map_err(|error| StoreError::Unavailable(error.into()))?,
        };
        let found = lookup(&mut conn)?;
        *locked = Some(conn);
        Ok(found)
    }

    /// One that nobody uses; else the first, for which to wait takes no longer than a look-up.
    fn free_connection(&self) -> MutexGuard<'_, Option<SqliteConnection>> {
        let free = self.connections.iter().find_map(|connection| match connection.try_lock() {
            Ok(locked) => Some(locked),
            Err(TryLockError::Poisoned(locked)) => Some(locked.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        });
        free.unwrap_or_else(|| self.connections[0].lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Connections to PostgreSQL that any number of look-ups use at once.
pub(crate) struct PipelinedPool {
    server: PostgresServer,
    connect_timeout: Duration,
    deadline: Duration,
    health: Arc<Health>,
    connections: Box<[SharedConnection]>,
    turn: AtomicUsize,
}

#[derive(Default)]
struct SharedConnection {
    current: Mutex<Option<OpenedConnection>>,
    /// Held by whoever opens a connection, so that one is opened and not a hundred.
    opening: tokio::sync::Mutex<()>,
}

/// A connection and when it was opened.
struct OpenedConnection {
    at: Instant,
    conn: Arc<AsyncPgConnection>,
}

impl PipelinedPool {
    pub(crate) fn new(server: PostgresServer, config: &crate::Config, health: Arc<Health>) -> Self {
        Self {
            server,
            connect_timeout: config.connect_timeout,
            deadline: config.deadline,
            health,
            connections: (0..lookup_connections()).map(|_| SharedConnection::default()).collect(),
            turn: AtomicUsize::new(0),
        }
    }

    /// The connection whose turn it is, opened if need be.
    pub(crate) async fn connection(&self) -> Result<Arc<AsyncPgConnection>, StoreError> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let slot = &self.connections[turn % self.connections.len()];
        if let Some(conn) = slot.current(&self.health) {
            return Ok(conn);
        }
        let _opening = slot.opening.lock().await;
        if let Some(conn) = slot.current(&self.health) {
            return Ok(conn);
        }
        let at = Instant::now();
        let opened = tokio::time::timeout(self.connect_timeout, self.server.open()).await;
        let opened = opened
            .map_err(|_| StoreError::Unavailable("no connection could be opened in time".into()))?;
        let conn = Arc::new(opened.map_err(|error| StoreError::Unavailable(error.into()))?);
        *slot.locked() = Some(OpenedConnection { at, conn: conn.clone() });
        Ok(conn)
    }

    /// Tells a look-up that was refused from one that could not be answered any more, and whether the
    /// connection still lives. One that does not is not used again.
    pub(crate) async fn check_result<T>(
        &self,
        answer: QueryResult<T>,
        conn: &Arc<AsyncPgConnection>,
    ) -> (Result<T, StoreError>, bool) {
        let error = match answer.map_err(StoreError::from) {
            Ok(answer) => return (Ok(answer), true),
            Err(error) => error,
        };
        let is_same = |opened: &OpenedConnection| Arc::ptr_eq(&opened.conn, conn);
        let doubtful = match &error {
            StoreError::Gone(_) => {
                let opened_at = |slot: &SharedConnection| {
                    slot.locked().as_ref().filter(|it| is_same(it)).map(|it| it.at)
                };
                if let Some(at) = self.connections.iter().find_map(opened_at) {
                    self.health.mark_server_gone(at);
                }
                return (Err(error), false);
            }
            StoreError::Unavailable(_) => true,
            StoreError::Query(error) => is_unclassified(error),
            _ => false,
        };
        if !doubtful || is_alive(conn).await {
            return (Err(error), true);
        }
        self.health.mark_connection_dead();
        // Others may have died with it, and the next try must not meet those. Whoever comes later with
        // the same news has them stay that were opened since.
        if self.connections.iter().any(|slot| slot.locked().as_ref().is_some_and(is_same)) {
            self.discard_all();
        }
        let error = match error {
            StoreError::Query(error) => StoreError::Unavailable(error.into()),
            error => error,
        };
        (Err(error), false)
    }

    /// What a look-up ends with, by the deadline. Connections that stay silent are not used again.
    pub(crate) async fn within_deadline<T>(
        &self,
        asking: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        tokio::time::timeout(self.deadline, asking).await.unwrap_or_else(|_| {
            self.discard_all();
            Err(StoreError::Unavailable("the database did not answer in time".into()))
        })
    }

    /// No connection is used by anybody new; look-ups under way keep theirs.
    fn discard_all(&self) {
        self.connections.iter().for_each(|slot| drop(slot.locked().take()));
    }
}

impl SharedConnection {
    /// The connection, unless it leads to a server that no longer serves.
    fn current(&self, health: &Health) -> Option<Arc<AsyncPgConnection>> {
        let mut locked = self.locked();
        if locked.as_ref().is_some_and(|opened| !health.is_in_service(opened.at)) {
            *locked = None;
        }
        locked.as_ref().map(|opened| opened.conn.clone())
    }

    fn locked(&self) -> MutexGuard<'_, Option<OpenedConnection>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
