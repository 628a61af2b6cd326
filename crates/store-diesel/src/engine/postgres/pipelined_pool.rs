//! Looking up one row by its key, which is most of what a database is asked, without a task, a thread
//! or a turn at a connection.
//!
//! On SQLite it takes some microseconds, so it is done where it is asked for: to hand it to a thread
//! for blocking work and to wait for that cost ten times as much. On PostgreSQL look-ups share a few
//! connections and are sent without waiting for the answers to those before (pipelining, as the
//! protocol's section on it calls this): the server answers several in one turn of its process. One
//! that is abandoned leaves nothing behind there, for the connection reads its answer all the same.
//! What is known without looking is in [`read_cache`](crate::cache::read_cache), and how look-ups of sessions become
//! one statement in [`batched_lookup`](crate::batch::batched_lookup).
//!
//! Decision: ADR 0018.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use diesel::QueryResult;
use diesel_async::AsyncPgConnection;

use crate::{
    StoreError,
    engine::{
        lookup_connections,
        postgres::{
            health::{Health, is_alive, is_unclassified},
            server::PostgresServer,
        },
    },
};

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

pub(crate) use pipelined;
