//! A mutation of one row with its events and its cleanup, committed as a unit.
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
use domain::ResourceLimits;
use futures_util::future::BoxFuture;

use crate::{
    rows::{
        cleanup::{CleanupPostponement, CleanupRow},
        event::EventRow,
        session::MutableColumns,
    },
    scope::{ExpectedRowVersion, ScopedSessionId},
};

/// A mutation with its events. Nothing is written if the mutation finds no row.
pub(crate) struct SessionCommit {
    pub(crate) mutation: Mutation,
    pub(crate) events: Vec<EventRow>,
}

/// A guarded change of a session or of a cleanup.
pub(crate) enum Mutation {
    /// Replaces the mutable columns if version and due time are as expected. With a number, only if
    /// the stored metadata has at least that many bytes.
    Update(ScopedSessionId, ExpectedRowVersion, Box<MutableColumns>, Option<i32>),
    /// Deletes the session of this version and inserts its cleanup; without a cleanup when there is
    /// nothing to unlink.
    Delete(ScopedSessionId, i64, Option<Box<CleanupRow>>),
    /// Reschedules the cleanup of a session.
    Postpone(String, CleanupPostponement),
    /// Deletes the cleanup of a session.
    Finish(String),
}

/// Binds the statement of a mutation and evaluates the body.
macro_rules! with_statement {
    ($mutation:expr, |$statement:ident| $body:expr) => {{
        use $crate::{batch::mutation::Mutation, schema::sessions, scope, scope::counts};
        match $mutation {
            Mutation::Update(scoped_id, expected, state, metadata) => {
                let row = counts::session_at_with_metadata(scoped_id, *expected, *metadata);
                let $statement = diesel::update(row).set(&**state);
                $body
            }
            Mutation::Delete(scoped_id, version, _) => {
                let row = scope::session(scoped_id).filter(sessions::version.eq(version));
                let $statement = diesel::delete(row);
                $body
            }
            Mutation::Postpone(session, postponement) => {
                let $statement = diesel::update(scope::cleanup(session)).set(postponement);
                $body
            }
            Mutation::Finish(session) => {
                let $statement = diesel::delete(scope::cleanup(session));
                $body
            }
        }
    }};
}

/// Writes a mutation and its cleanup in the current transaction; returns the number of changed rows.
macro_rules! write_mutation {
    ($conn:expr, $mutation:expr) => {{
        let changed = $crate::batch::mutation::with_statement!($mutation, |statement| {
            statement.execute($conn).await?
        });
        if let (1.., Some(cleanup)) = (changed, $mutation.cleanup()) {
            let insert = diesel::insert_into($crate::schema::retirements::table).values(cleanup);
            insert.execute($conn).await?;
        }
        changed
    }};
}

impl Mutation {
    /// Guards metadata that has a limit against growth. Returns whether the limit applies.
    pub(crate) fn limit_metadata(&mut self, limits: &ResourceLimits) -> bool {
        match self {
            Self::Update(_, _, state, metadata)
                if limits.metadata.is_some() && state.metadata_bytes() > 0 =>
            {
                *metadata = Some(state.metadata_length());
                true
            }
            _ => false,
        }
    }

    pub(crate) fn cleanup(&self) -> Option<&CleanupRow> {
        match self {
            Self::Delete(_, _, cleanup) => cleanup.as_deref(),
            _ => None,
        }
    }
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
        if !self.events.is_empty() {
            out.push_sql(", told AS (");
            EventRow::insert_all_where_changed(self.events, out.reborrow())?;
            out.push_sql(")");
        }
        // PostgreSQL executes a data-modifying `WITH` part even if no part reads its result.
        out.push_sql(" SELECT 1 FROM changed");
        Ok(())
    }
}

/// Inserts events in the current transaction.
macro_rules! insert_events {
    ($conn:expr, $rows:expr) => {
        for row in &$rows {
            diesel::insert_into($crate::schema::events::table).values(row).execute($conn).await?;
        }
    };
}

pub(crate) use {insert_events, with_statement, write_mutation};
