//! Adapts a restored copy of the database to a world that has moved on.
//!
//! Numbers that were given out after the copy must not be given out again: nodes reject older epochs,
//! clients compare versions and ids of messages, and readers of events have positions and sequence numbers. Logins and share links that ended
//! after the copy must not work again.
//!
//! Decision: ADR 0060.

use diesel::sql_types::BigInt;
use diesel_async::RunQueryDsl;
use domain::{Timestamp, ports::PortResult};

use crate::{
    Database, DatabaseKind,
    database::statements::{with_conn, with_transaction},
    scope::bound_query::bound_query,
};

/// The distance to the next number is above what a session or a feed gives out between two back-ups.
const SESSIONS: &str = "UPDATE sessions SET epoch = epoch + 1000000, version = version + 1000000, \
    sequence = sequence + 1000000, due = $1";
const CLEANUPS: &str = "UPDATE retirements SET epoch = epoch + 1000000, \
    sequence = sequence + 1000000, due = $1";
const MESSAGING: &str = "UPDATE session_messaging SET version = version + 1000000, \
    sequence = sequence + 1000000, last_chat = last_chat + 1000000, \
    last_message = last_message + 1000000";
const WEBHOOKS: &str = "UPDATE webhooks SET version = version + 1000000";
/// Ends the links that are open. The columns of the others stay.
const LINKS: &str = "UPDATE share_links SET outcome = coalesce(outcome, 'revoked'), \
    ended_at = coalesce(ended_at, $1), browser = NULL";
const LOGINS: &str = "DELETE FROM browser_sessions";
const SQLITE_POSITIONS: &str =
    "UPDATE sqlite_sequence SET seq = seq + 1000000 WHERE name = 'events'";
const POSTGRES_POSITIONS: &str =
    "SELECT setval('events_position', last_value + 1000000) FROM events_position";

/// What [`Database::adapt_restored_copy`] changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdaptedCopy {
    /// Number of sessions in the copy.
    pub sessions: usize,
    /// Number of ended logins of browsers.
    pub logins: usize,
}

impl Database {
    /// Adapts a copy that was restored and that no router uses yet. Can be repeated.
    ///
    /// # Errors
    /// *Unavailable* when the database does not answer or does not accept writes.
    pub async fn adapt_restored_copy(&self, now: Timestamp) -> PortResult<AdaptedCopy> {
        let at = now.millis();
        self.run(move |database| async move {
            let adapted = with_transaction!(database, |conn| {
                let sessions = bound_query!(SESSIONS, BigInt: at).execute(conn).await?;
                bound_query!(CLEANUPS, BigInt: at).execute(conn).await?;
                for change in [MESSAGING, WEBHOOKS] {
                    diesel::sql_query(change).execute(conn).await?;
                }
                bound_query!(LINKS, BigInt: at).execute(conn).await?;
                let logins = diesel::sql_query(LOGINS).execute(conn).await?;
                Ok(AdaptedCopy { sessions, logins })
            })?;
            let positions = match database.kind() {
                DatabaseKind::Sqlite => SQLITE_POSITIONS,
                DatabaseKind::Postgres => POSTGRES_POSITIONS,
            };
            with_conn!(database, write, |conn| {
                diesel::sql_query(positions).execute(conn).await
            })?;
            Ok(adapted)
        })
        .await
    }
}
