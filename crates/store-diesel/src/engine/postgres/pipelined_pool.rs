//! Point lookups on PostgreSQL: a few connections that any number of lookups share.
//!
//! Lookups are sent without waiting for earlier answers (the protocol's section on pipelining), and
//! the server answers several in one turn of its process. An abandoned lookup leaves nothing
//! behind, because the connection reads its answer anyway. So a lookup needs no task and no pooled
//! connection of its own. Lookups of sessions share statements besides: see
//! [`batched_lookup`](crate::batch::batched_lookup).
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
use futures_util::FutureExt as _;

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

/// Sends a query over a shared connection. A query that failed because its connection was dead is
/// repeated once on another connection.
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

/// Connections to PostgreSQL that concurrent lookups share.
pub(crate) struct PipelinedPool {
    server: PostgresServer,
    connect_timeout: Duration,
    deadline: Duration,
    health: Arc<Health>,
    connections: Box<[SharedConnection]>,
    next: AtomicUsize,
}

#[derive(Default)]
struct SharedConnection {
    current: Mutex<Option<OpenedConnection>>,
    /// Held while a connection is being opened, so that concurrent lookups open one connection.
    opening: tokio::sync::Mutex<()>,
}

/// A connection and the time at which it was opened.
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
            next: AtomicUsize::new(0),
        }
    }

    /// Returns the next connection in rotation, and opens the connection if necessary.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when no connection opens in time.
    pub(crate) async fn connection(&self) -> Result<Arc<AsyncPgConnection>, StoreError> {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        let shared = &self.connections[next % self.connections.len()];
        if let Some(conn) = shared.current(&self.health) {
            return Ok(conn);
        }
        let _opening = shared.opening.lock().await;
        if let Some(conn) = shared.current(&self.health) {
            return Ok(conn);
        }
        let at = Instant::now();
        let opened = tokio::time::timeout(self.connect_timeout, self.server.open()).await;
        let opened = opened
            .map_err(|_| StoreError::Unavailable("no connection could be opened in time".into()))?;
        let conn = Arc::new(opened.map_err(|error| StoreError::Unavailable(error.into()))?);
        *shared.locked() = Some(OpenedConnection { at, conn: conn.clone() });
        Ok(conn)
    }

    /// Distinguishes a lookup that PostgreSQL rejected from one that PostgreSQL could not answer,
    /// and returns whether the connection is alive. A dead connection is discarded.
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
                let opened_at = |shared: &SharedConnection| {
                    shared.locked().as_ref().filter(|it| is_same(it)).map(|it| it.at)
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
        // The other connections may have died at the same time, and the retry must not use them.
        // Later reports of the same failure leave the new connections alone.
        if self.connections.iter().any(|shared| shared.locked().as_ref().is_some_and(is_same)) {
            self.discard_all();
        }
        let error = match error {
            StoreError::Query(error) => StoreError::Unavailable(error.into()),
            error => error,
        };
        (Err(error), false)
    }

    /// Returns the result of a lookup, or an error at the deadline. Connections that stay silent
    /// until the deadline are discarded.
    // Not an async function, which would hold the lookup twice.
    pub(crate) fn within_deadline<T>(
        &self,
        asking: impl Future<Output = Result<T, StoreError>>,
    ) -> impl Future<Output = Result<T, StoreError>> {
        tokio::time::timeout(self.deadline, asking).map(|ended| {
            ended.unwrap_or_else(|_| {
                self.discard_all();
                Err(StoreError::Unavailable("the database did not answer in time".into()))
            })
        })
    }

    /// Discards all connections for new lookups. Lookups in flight keep their connection.
    fn discard_all(&self) {
        self.connections.iter().for_each(|shared| drop(shared.locked().take()));
    }
}

impl SharedConnection {
    /// Returns the connection, unless its server is out of service.
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
