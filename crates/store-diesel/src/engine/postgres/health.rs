//! The health of a PostgreSQL server and of the connections to it.

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

/// Age of the last use up to which a connection counts as alive.
const TRUSTED_FOR: Duration = Duration::from_millis(500);

/// Maximum time of a liveness check.
pub(crate) const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// A connection that a pool has handed out.
pub(crate) type PooledConnection =
    deadpool::managed::Object<AsyncDieselConnectionManager<AsyncPgConnection>>;

/// The health of a server, shared by all pools of the server.
#[derive(Default)]
pub(crate) struct Health(Mutex<HealthState>);

#[derive(Clone, Copy, Default)]
struct HealthState {
    /// Time of the last discovery of a dead connection.
    connection_dead_at: Option<Instant>,
    /// Connections opened before this time are unusable: their server is out of service or has
    /// become a standby.
    server_gone_at: Option<Instant>,
}

impl Health {
    /// Records that a connection was found dead; other connections may have died at the same time.
    pub(crate) fn mark_connection_dead(&self) {
        self.state().connection_dead_at = Some(Instant::now());
    }

    /// Records that the server of a connection is out of service, and with it all connections of
    /// every pool. Reports from connections that are already unusable are ignored.
    pub(crate) fn mark_server_gone(&self, opened: Instant) {
        if self.is_in_service(opened) {
            self.state().server_gone_at = Some(Instant::now());
            tracing::warn!("database server no longer serves; all connections to it are replaced");
        }
    }

    /// Whether the server of a connection opened at this time may be in service.
    pub(crate) fn is_in_service(&self, opened: Instant) -> bool {
        self.state().server_gone_at.is_none_or(|at| opened > at)
    }

    /// Whether a connection with this time since its last use counts as alive.
    pub(crate) fn is_trusted(&self, last_used: Duration) -> bool {
        let connection_dead_at = self.state().connection_dead_at;
        last_used < TRUSTED_FOR && connection_dead_at.is_none_or(|at| last_used < at.elapsed())
    }

    /// Distinguishes a statement that PostgreSQL rejected from one that PostgreSQL could not
    /// answer, and returns whether the connection is usable.
    ///
    /// Not every error of a dead connection says so: PostgreSQL ends a connection that idles too
    /// long in a transaction with an error about transactions.
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
