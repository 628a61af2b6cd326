//! A change of one row and all that is written with it, in one go.
//!
//! On PostgreSQL it is one statement, which is a transaction by itself: with a transaction of several
//! statements, most of what a write cost was the turns that the connection took.

use diesel::{
    QueryResult,
    pg::Pg,
    query_builder::{AstPass, QueryFragment, QueryId},
};

use crate::{events::EventRow, retirements::RetirementRow};

/// An `INSERT`, `UPDATE` or `DELETE` of at most one row, and the rows that are written if there is one.
/// Gives a row back for each that was changed.
pub(crate) struct AtOnce<'a, C> {
    pub(crate) change: C,
    pub(crate) rest: Option<&'a RetirementRow>,
    pub(crate) events: &'a [EventRow],
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

/// Changes a row of this session, with a retirement and events if there is such a row; says whether there
/// was. No task of its own is needed: what was asked for is carried out whoever loses interest.
macro_rules! change_at_once {
    ($database:expr, $session:expr, $change:expr, $events:expr) => {{
        let nothing = None::<$crate::retirements::RetirementRow>;
        $crate::at_once::change_at_once!($database, $session, $change, nothing, $events)
    }};
    ($database:expr, $session:expr, $change:expr, $rest:expr, $events:expr) => {{
        let asked = async {
            match &$database.pools {
                $crate::pool::Pools::Postgres(pool) => {
                    let sent = pool.commits.change($session, move |mut conn| {
                        let (change, rest, events) = ($change, $rest.as_ref(), &$events[..]);
                        let statement = $crate::at_once::AtOnce { change, rest, events };
                        diesel_async::RunQueryDsl::execute(statement, &mut conn)
                    });
                    sent.await
                }
                $crate::pool::Pools::Sqlite(pools) => {
                    let work = async move |conn: &mut $crate::writer::WriterConnection| {
                        if diesel_async::RunQueryDsl::execute($change, conn).await? == 0 {
                            return Ok(false);
                        }
                        if let Some(rest) = &$rest {
                            let insert = diesel::insert_into($crate::schema::retirements::table);
                            diesel_async::RunQueryDsl::execute(insert.values(rest), conn).await?;
                        }
                        $crate::events::write_events!(conn, $events);
                        Ok(true)
                    };
                    pools.writer.write(work).await
                }
            }
        };
        $database.in_time(asked).await
    }};
}

pub(crate) use {bind_all, change_at_once};
