//! A change of one row and all that is written with it, in one go.
//!
//! On PostgreSQL it is one statement, which is a transaction by itself: with a transaction of several
//! statements, most of what a write cost was the turns that the connection took. Those of sessions that
//! come at once share it: see [`commits`](crate::commits).
//!
//! Decision: ADR 0021.

use diesel::{
    QueryResult,
    pg::Pg,
    prelude::*,
    query_builder::{AstPass, QueryFragment, QueryId},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::ports::PortResult;
use futures_util::future::BoxFuture;

use crate::{
    Database, StoreError,
    events::{EventRow, write_events},
    pool::Pools,
    retirements::{Postponement, RetirementRow},
    schema::{retirements, sessions},
    scope::{self, Owned, Standing, counts},
    session_row::State,
    writer::WriterConnection,
};

/// What happens to a row, and what tells of it. Nothing is written where there is no such row.
pub(crate) struct Change {
    pub(crate) deed: Deed,
    pub(crate) events: Vec<EventRow>,
}

/// What happens to a row of a session, or of what remains of one.
pub(crate) enum Deed {
    /// It is this from now on, if nobody has written or woken it, and its metadata has so many bytes at
    /// least, if that matters.
    Update(Owned, Standing, Box<State>, Option<i32>),
    /// It of this version is gone; this remains.
    Retire(Owned, i64, Option<Box<RetirementRow>>),
    /// What remains of it waits.
    Postpone(String, Postponement),
    /// Nothing remains of it.
    Finish(String),
}

impl Database {
    /// Changes a row; says whether there was one to change. No task of its own is needed: what was
    /// asked for is carried out whoever loses interest.
    pub(crate) async fn change(&self, deed: Deed, events: Vec<EventRow>) -> PortResult<bool> {
        let change = Change { deed, events };
        match &self.pools {
            Pools::Postgres(pool) => self.in_time(pool.commits.change(change)).await,
            Pools::Sqlite(pools) => {
                let work = async move |conn: &mut WriterConnection| change.write(conn).await;
                self.in_time(pools.writer.write(work)).await
            }
        }
    }
}

/// Does this with the statement of a deed.
macro_rules! with_statement {
    ($deed:expr, |$statement:ident| $body:expr) => {
        match $deed {
            Deed::Update(owned, standing, state, metadata) => {
                let row = counts::session_still_with(owned, *standing, *metadata);
                let $statement = diesel::update(row).set(&**state);
                $body
            }
            Deed::Retire(owned, version, _) => {
                let row = scope::session(owned).filter(sessions::version.eq(version));
                let $statement = diesel::delete(row);
                $body
            }
            Deed::Postpone(session, postponement) => {
                let $statement = diesel::update(scope::retirement(session)).set(postponement);
                $body
            }
            Deed::Finish(session) => {
                let $statement = diesel::delete(scope::retirement(session));
                $body
            }
        }
    };
}

impl Change {
    /// The session whose row it changes.
    pub(crate) fn session(&self) -> &str {
        match &self.deed {
            Deed::Update(owned, ..) | Deed::Retire(owned, ..) => owned.id(),
            Deed::Postpone(session, _) | Deed::Finish(session) => session,
        }
    }

    /// Whether it is written together with others. What remains of sessions is changed rarely; and an event
    /// that tells of no session could not be told to belong to this change.
    pub(crate) fn is_gathered(&self) -> bool {
        !matches!(self.deed, Deed::Postpone(..) | Deed::Finish(_))
            && self.events.iter().all(|event| event.tells_of(self.session()))
    }

    /// What remains of the session.
    fn rest(&self) -> Option<&RetirementRow> {
        match &self.deed {
            Deed::Retire(_, _, rest) => rest.as_deref(),
            _ => None,
        }
    }

    /// Does it by itself on PostgreSQL; answers how many rows there were to change.
    pub(crate) fn send<'c>(
        &self,
        mut conn: &'c AsyncPgConnection,
    ) -> BoxFuture<'c, QueryResult<usize>> {
        let (rest, events) = (self.rest(), &self.events[..]);
        with_statement!(&self.deed, |change| {
            RunQueryDsl::execute(AtOnce { change, rest, events }, &mut conn)
        })
    }

    /// Does it on SQLite, in the transaction that the connection is in.
    async fn write(&self, conn: &mut WriterConnection) -> Result<bool, StoreError> {
        let changed = with_statement!(&self.deed, |change| change.execute(conn).await?);
        if changed == 0 {
            return Ok(false);
        }
        if let Some(rest) = self.rest() {
            diesel::insert_into(retirements::table).values(rest).execute(conn).await?;
        }
        write_events!(conn, self.events);
        Ok(true)
    }
}

/// An `UPDATE` or `DELETE` of at most one row, and the rows that are written if there is one.
/// Gives a row back for each that was changed.
struct AtOnce<'a, C> {
    change: C,
    rest: Option<&'a RetirementRow>,
    events: &'a [EventRow],
}

impl<C> QueryId for AtOnce<'_, C> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<C: QueryFragment<Pg>> QueryFragment<Pg> for AtOnce<'_, C> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("WITH changed AS (");
        self.change.walk_ast(out.reborrow())?;
        out.push_sql(" RETURNING 1)");
        if let Some(rest) = self.rest {
            out.push_sql(", rest AS (");
            rest.write_where_changed(out.reborrow())?;
            out.push_sql(")");
        }
        for (number, event) in self.events.iter().enumerate() {
            out.push_sql(&format!(", event_{number} AS ("));
            event.write_where_changed(out.reborrow())?;
            out.push_sql(")");
        }
        // What is named with WITH and changes something is carried out, read or not.
        out.push_sql(" SELECT 1 FROM changed");
        Ok(())
    }
}

/// Pushes values with their types, between commas.
macro_rules! bind_all {
    ($out:expr, $first_type:ty: $first:expr $(, $type:ty: $value:expr)* $(,)?) => {{
        $out.push_bind_param::<$first_type, _>($first)?;
        $(
            $out.push_sql(", ");
            $out.push_bind_param::<$type, _>($value)?;
        )*
    }};
}
pub(crate) use bind_all;
