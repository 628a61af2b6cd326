//! A change of one row and all that is written with it, in one go.
//!
//! On PostgreSQL it is one statement, which is a transaction by itself: with a transaction of several
//! statements, most of what a write cost was the turns that the connection took. Those of sessions that
//! come at once share it: see [`group_commit`](crate::batch::group_commit).
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
    StoreError,
    engine::sqlite::writer::WriterConnection,
    rows::{
        cleanup::{CleanupPostponement, CleanupRow},
        event::EventRow,
        session::MutableColumns,
    },
    schema::{retirements, sessions},
    scope::{self, ExpectedRowVersion, ScopedSessionId, counts},
};

/// What happens to a row, and what tells of it. Nothing is written where there is no such row.
pub(crate) struct SessionCommit {
    pub(crate) mutation: Mutation,
    pub(crate) events: Vec<EventRow>,
}

/// What happens to a row of a session, or of what remains of one.
pub(crate) enum Mutation {
    /// It is this from now on, if nobody has written or woken it, and its metadata has so many bytes at
    /// least, if that matters.
    Update(ScopedSessionId, ExpectedRowVersion, Box<MutableColumns>, Option<i32>),
    /// It of this version is gone; this remains.
    Delete(ScopedSessionId, i64, Option<Box<CleanupRow>>),
    /// What remains of it waits.
    Postpone(String, CleanupPostponement),
    /// Nothing remains of it.
    Finish(String),
}

/// Does this with the statement of a deed.
macro_rules! with_statement {
    ($mutation:expr, |$statement:ident| $body:expr) => {
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
    };
}

impl SessionCommit {
    /// The session whose row it changes.
    pub(crate) fn session(&self) -> &str {
        match &self.mutation {
            Mutation::Update(scoped_id, ..) | Mutation::Delete(scoped_id, ..) => scoped_id.id(),
            Mutation::Postpone(session, _) | Mutation::Finish(session) => session,
        }
    }

    /// Whether it is written together with others. What remains of sessions is changed rarely; and an event
    /// that tells of no session could not be told to belong to this change.
    pub(crate) fn is_batched(&self) -> bool {
        !matches!(self.mutation, Mutation::Postpone(..) | Mutation::Finish(_))
            && self.events.iter().all(|event| event.tells_of(self.session()))
    }

    /// What remains of the session.
    fn cleanup(&self) -> Option<&CleanupRow> {
        match &self.mutation {
            Mutation::Delete(_, _, cleanup) => cleanup.as_deref(),
            _ => None,
        }
    }

    /// Does it by itself on PostgreSQL; answers how many rows there were to change.
    pub(crate) fn execute<'c>(
        &self,
        mut conn: &'c AsyncPgConnection,
    ) -> BoxFuture<'c, QueryResult<usize>> {
        let (cleanup, events) = (self.cleanup(), &self.events[..]);
        with_statement!(&self.mutation, |mutation| {
            RunQueryDsl::execute(CommitStatement { mutation, cleanup, events }, &mut conn)
        })
    }

    /// Does it on SQLite, in the transaction that the connection is in.
    pub(crate) async fn write(&self, conn: &mut WriterConnection) -> Result<bool, StoreError> {
        let changed = with_statement!(&self.mutation, |mutation| mutation.execute(conn).await?);
        if changed == 0 {
            return Ok(false);
        }
        if let Some(cleanup) = self.cleanup() {
            diesel::insert_into(retirements::table).values(cleanup).execute(conn).await?;
        }
        insert_events!(conn, self.events);
        Ok(true)
    }
}

/// An `UPDATE` or `DELETE` of at most one row, and the rows that are written if there is one.
/// Gives a row back for each that was changed.
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
        // What is named with WITH and changes something is carried out, read or not.
        out.push_sql(" SELECT 1 FROM changed");
        Ok(())
    }
}

/// Writes events, in the transaction that the connection is in.
macro_rules! insert_events {
    ($conn:expr, $rows:expr) => {
        for row in &$rows {
            diesel::insert_into($crate::schema::events::table).values(row).execute($conn).await?;
        }
    };
}

pub(crate) use insert_events;
