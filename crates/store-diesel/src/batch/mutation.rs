//! A mutation of one row with its events and its cleanup, committed by one statement.
//!
//! On PostgreSQL a mutation is one statement, and so a transaction by itself: in a transaction of
//! several statements, the round trips cost more than the rest of the write. Concurrent mutations
//! of sessions share a statement: see [`group_commit`](crate::batch::group_commit).
//!
//! Decision: ADR 0021.

use diesel::{
    QueryResult,
    pg::Pg,
    prelude::*,
    query_builder::{AstPass, QueryFragment, QueryId},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::future::BoxFuture;

use crate::{
    rows::{cleanup::CleanupRow, event::EventRow},
    tables::transaction::{Mutation, with_statement},
};

/// A mutation with its events. Nothing is written if the mutation finds no row.
pub(crate) struct SessionCommit {
    pub(crate) mutation: Mutation,
    pub(crate) events: Vec<EventRow>,
}

impl SessionCommit {
    /// Returns the id of the session that the mutation changes.
    pub(crate) fn session(&self) -> &str {
        match &self.mutation {
            Mutation::Update(scoped_id, ..) | Mutation::Delete(scoped_id, ..) => scoped_id.id(),
            Mutation::Postpone(session, _) | Mutation::Finish(session) => session,
        }
    }

    /// Whether the mutation can share a statement. Changes of cleanups are rare and do not; and an
    /// event without a session could not be matched to its mutation.
    pub(crate) fn is_batched(&self) -> bool {
        !matches!(self.mutation, Mutation::Postpone(..) | Mutation::Finish(_))
            && self.events.iter().all(|event| event.tells_of(self.session()))
    }

    /// Executes the commit as one statement on PostgreSQL; returns the number of changed rows.
    pub(crate) fn execute<'c>(
        &self,
        mut conn: &'c AsyncPgConnection,
    ) -> BoxFuture<'c, QueryResult<usize>> {
        let (cleanup, events) = (self.mutation.cleanup(), &self.events[..]);
        with_statement!(&self.mutation, |mutation| {
            RunQueryDsl::execute(CommitStatement { mutation, cleanup, events }, &mut conn)
        })
    }
}

/// An `UPDATE` or `DELETE` of at most one row, and the inserts that depend on that row. Returns one
/// row for each changed row.
struct CommitStatement<'a, M> {
    mutation: M,
    cleanup: Option<&'a CleanupRow>,
    events: &'a [EventRow],
}

impl<M> QueryId for CommitStatement<'_, M> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<M: QueryFragment<Pg>> QueryFragment<Pg> for CommitStatement<'_, M> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("WITH changed AS (");
        self.mutation.walk_ast(out.reborrow())?;
        out.push_sql(" RETURNING 1)");
        if let Some(cleanup) = self.cleanup {
            out.push_sql(", rest AS (");
            cleanup.insert_where_changed(out.reborrow())?;
            out.push_sql(")");
        }
        for (number, event) in self.events.iter().enumerate() {
            out.push_sql(&format!(", event_{number} AS ("));
            event.insert_where_changed(out.reborrow())?;
            out.push_sql(")");
        }
        // PostgreSQL executes a data-modifying `WITH` part even if no part reads its result.
        out.push_sql(" SELECT 1 FROM changed");
        Ok(())
    }
}
