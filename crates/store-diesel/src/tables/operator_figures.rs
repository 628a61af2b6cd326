//! Reads figures over all organizations for the operator's metrics.

use diesel::{
    QueryableByName,
    sql_types::{BigInt, Nullable, Text},
};
use diesel_async::RunQueryDsl;
use domain::{Timestamp, ports::PortResult};

use crate::{
    Database,
    database::statements::with_conn,
    scope::{bound_query::BoundQuery, operator_figures as scope},
};

/// Figures over all organizations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorFigures {
    /// Number of sessions by the stored name of their status; statuses without sessions are absent.
    pub sessions: Vec<(String, i64)>,
    /// Number of deleted sessions that are not cleaned up.
    pub cleanups: i64,
    /// Time of the oldest of these deletions; `None` without one.
    pub oldest_cleanup: Option<Timestamp>,
    /// Earliest time at which a session is due, possibly in the future; `None` when no session is due.
    pub earliest_due: Option<Timestamp>,
}

#[derive(QueryableByName)]
struct NamedCountRow {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = BigInt)]
    count: i64,
}

#[derive(QueryableByName)]
struct CleanupFiguresRow {
    #[diesel(sql_type = BigInt)]
    count: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    at: Option<i64>,
}

impl Database {
    /// Counts the sessions by the stored name of the state that their owners ask for; states without
    /// sessions are absent. Reads every session.
    ///
    /// # Errors
    /// *Unavailable* when the database does not answer in time.
    pub async fn sessions_by_desired(&self) -> PortResult<Vec<(String, i64)>> {
        self.run(|database| async move {
            let counts: Vec<NamedCountRow> = with_conn!(database, read, |conn| {
                BoundQuery::new(scope::SESSIONS_BY_DESIRED).prepared().get_results(conn).await
            })?;
            Ok(counts.into_iter().map(|row| (row.name, row.count)).collect())
        })
        .await
    }

    /// Reads the figures. The statements do not share a snapshot.
    ///
    /// # Errors
    /// *Unavailable* when the database does not answer in time.
    pub async fn operator_figures(&self) -> PortResult<OperatorFigures> {
        self.run(|database| async move {
            let statuses: Vec<NamedCountRow> = with_conn!(database, read, |conn| {
                BoundQuery::new(scope::SESSIONS_BY_STATUS).prepared().get_results(conn).await
            })?;
            let cleanups: CleanupFiguresRow = with_conn!(database, read, |conn| {
                BoundQuery::new(scope::CLEANUPS).prepared().get_result(conn).await
            })?;
            let earliest_due = database.time_of(scope::EARLIEST_DUE).await?;
            Ok(OperatorFigures {
                sessions: statuses.into_iter().map(|row| (row.name, row.count)).collect(),
                cleanups: cleanups.count,
                oldest_cleanup: cleanups.at.map(Timestamp::from_millis),
                earliest_due,
            })
        })
        .await
    }
}
