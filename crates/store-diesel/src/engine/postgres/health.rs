//! What is known of a PostgreSQL server's health, and which of its connections can be used.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use diesel::result::{DatabaseErrorKind, Error as QueryError};
use diesel_async::{
    AsyncPgConnection, RunQueryDsl,
    pooled_connection::{AsyncDieselConnectionManager, PoolableConnection},
};

use crate::StoreError;

/// A connection that was used within this time is taken to be alive.
const TRUSTED_FOR: Duration = Duration::from_millis(500);

/// How long a connection may take to show that it is alive.
pub(crate) const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// A connection that a pool has lent.
pub(crate) type PooledConnection =
    deadpool::managed::Object<AsyncDieselConnectionManager<AsyncPgConnection>>;

/// What is known of a server, shared by all its pools.
#[derive(Default)]
pub(crate) struct Health(Mutex<HealthState>);

#[derive(Clone, Copy, Default)]
struct HealthState {
    /// When a connection was last found dead.
    connection_dead_at: Option<Instant>,
    /// Connections that were opened before this are of no use: the server they lead to has gone out of
    /// service, or is a standby now.
    server_gone_at: Option<Instant>,
}

impl Health {
    /// A connection was found dead just now; others may have died with it.
    pub(crate) fn mark_connection_dead(&self) {
        self.state().connection_dead_at = Some(Instant::now());
    }

    /// A connection that was opened at this time leads to a server that no longer serves, and so do all
    /// that are open now, of every pool. News from a connection that is condemned already is no news.
    pub(crate) fn mark_server_gone(&self, opened: Instant) {
        if self.is_in_service(opened) {
            self.state().server_gone_at = Some(Instant::now());
            tracing::warn!("database server no longer serves; all connections to it are replaced");
        }
    }

    /// Whether a connection that was opened at this time may lead to a server that serves.
    pub(crate) fn is_in_service(&self, opened: Instant) -> bool {
        self.state().server_gone_at.is_none_or(|at| opened > at)
    }

    /// Whether a connection that was last used so long ago can be taken to be alive.
    pub(crate) fn is_trusted(&self, last_used: Duration) -> bool {
        let connection_dead_at = self.state().connection_dead_at;
        last_used < TRUSTED_FOR && connection_dead_at.is_none_or(|at| last_used < at.elapsed())
    }

    /// Tells a statement that PostgreSQL refused from one that it could not answer any more, and
    /// whether the connection can still be used.
    ///
    /// Not every error after which a connection is dead says so: a connection that waited too long in a
    /// transaction is ended with an error about transactions.
    pub(crate) async fn check_result<T, E: Into<StoreError>>(
        &self,
        result: Result<T, E>,
        conn: &mut PooledConnection,
    ) -> (Result<T, StoreError>, bool) {
        let result = match result.map_err(Into::into) {
            Err(StoreError::Query(error)) if is_unclassified(&error) && !is_alive(conn).await => {
                Err(StoreError::Unavailable(error.into()))
            }
            result => result,
        };
        match &result {
            Err(StoreError::Gone(_)) => {
                self.mark_server_gone(PooledConnection::metrics(conn).created);
                (result, false)
            }
            Err(StoreError::Unavailable(_)) if conn.is_broken() => {
                self.mark_connection_dead();
                (result, false)
            }
            _ => (result, true),
        }
    }

    fn state(&self) -> MutexGuard<'_, HealthState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) async fn is_alive(mut conn: &AsyncPgConnection) -> bool {
    let ping = diesel::sql_query("SELECT 1").execute(&mut conn);
    matches!(tokio::time::timeout(PING_TIMEOUT, ping).await, Ok(Ok(_)))
}

pub(crate) fn is_unclassified(error: &QueryError) -> bool {
    matches!(error, QueryError::DatabaseError(DatabaseErrorKind::Unknown, _))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_out_of_service_ends_only_earlier_connections() {
        let health = Health::default();
        let opened = Instant::now();
        let earlier = opened.checked_sub(PING_TIMEOUT).expect("a moment");
        assert!(health.is_in_service(opened));
        health.mark_server_gone(opened);
        assert!(!health.is_in_service(opened) && !health.is_in_service(earlier));
        let later = opened + PING_TIMEOUT;
        assert!(health.is_in_service(later));
        health.mark_server_gone(opened);
        assert!(health.is_in_service(later), "what is known already condemns nothing anew");
    }
}
