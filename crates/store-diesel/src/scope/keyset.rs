//! Where a list goes on: what comes after a place in a list that runs from the newest to the oldest.
//!
//! `(created_at, id) < (?, ?)` as a whole: both databases take that for a bound in an index, and
//! PostgreSQL knows how much lies beyond it. Spelt out (`a < ? OR a = ? AND b < ?`) it is a filter on
//! what was read, and PostgreSQL, which guesses too little of that, gathers and sorts the whole rest of
//! a list for a deep page.

use diesel::{
    backend::Backend,
    expression::{AppearsOnTable, Expression, SelectableExpression, ValidGrouping, is_aggregate},
    pg::Pg,
    query_builder::{AstPass, QueryFragment, QueryId},
    result::QueryResult,
    serialize::ToSql,
    sql_types::{BigInt, Bool, HasSqlType, Text},
    sqlite::Sqlite,
};
use domain::ports::Position;

use crate::schema::sessions;

/// A place. No place is a place before everything, so that there is one statement.
#[derive(Clone)]
pub(crate) struct KeysetPosition {
    created_at: i64,
    id: String,
}

impl KeysetPosition {
    pub(crate) fn of<Id: ToString>(position: Option<&Position<Id>>) -> Self {
        position.map_or_else(
            || Self { created_at: i64::MAX, id: String::new() },
            |position| Self {
                created_at: position.created_at.millis(),
                id: position.id.to_string(),
            },
        )
    }

    /// The place of a row.
    pub(crate) fn at(created_at: i64, id: &str) -> Self {
        Self { created_at, id: id.to_owned() }
    }

    /// Whether what was made at this moment and has this name comes after it.
    pub(crate) fn before<C, I>(&self, created_at: C, id: I) -> KeysetBefore<'_, C, I> {
        KeysetBefore { position: self, created_at, id }
    }
}

/// Whether something comes after a place, as an expression.
pub(crate) struct KeysetBefore<'a, C, I> {
    position: &'a KeysetPosition,
    created_at: C,
    id: I,
}

impl<C, I> Expression for KeysetBefore<'_, C, I> {
    type SqlType = Bool;
}

impl<C, I> ValidGrouping<()> for KeysetBefore<'_, C, I> {
    type IsAggregate = is_aggregate::No;
}

impl<T, C: AppearsOnTable<T>, I: AppearsOnTable<T>> AppearsOnTable<T> for KeysetBefore<'_, C, I> {}

impl<C: QueryId, I: QueryId> QueryId for KeysetBefore<'_, C, I> {
    type QueryId = KeysetBefore<'static, C::QueryId, I::QueryId>;
    const HAS_STATIC_QUERY_ID: bool = C::HAS_STATIC_QUERY_ID && I::HAS_STATIC_QUERY_ID;
}

impl<DB, C: QueryFragment<DB>, I: QueryFragment<DB>> QueryFragment<DB> for KeysetBefore<'_, C, I>
where
    DB: Backend + HasSqlType<BigInt> + HasSqlType<Text>,
    i64: ToSql<BigInt, DB>,
    String: ToSql<Text, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql("(");
        self.created_at.walk_ast(out.reborrow())?;
        out.push_sql(", ");
        self.id.walk_ast(out.reborrow())?;
        out.push_sql(") < (");
        out.push_bind_param::<BigInt, _>(&self.position.created_at)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, _>(&self.position.id)?;
        out.push_sql(")");
        Ok(())
    }
}

/// When a session was made, in lists that are narrowed by something.
///
/// PostgreSQL knows how usual a value is, but not in which organization. So it would look for what is
/// usual elsewhere in an organization's list of everything, go through all of that, and find nothing.
/// In an order that is another expression a narrowed list can be read from its own index alone.
/// SQLite takes the index of which the most is bound.
#[derive(Clone, Copy, QueryId)]
pub(crate) struct CreatedAtUnindexed;

impl Expression for CreatedAtUnindexed {
    type SqlType = BigInt;
}

impl ValidGrouping<()> for CreatedAtUnindexed {
    type IsAggregate = is_aggregate::No;
}

impl AppearsOnTable<sessions::table> for CreatedAtUnindexed {}

impl SelectableExpression<sessions::table> for CreatedAtUnindexed {}

impl QueryFragment<Pg> for CreatedAtUnindexed {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("(");
        sessions::created_at.walk_ast(out.reborrow())?;
        out.push_sql(" + 0)");
        Ok(())
    }
}

impl QueryFragment<Sqlite> for CreatedAtUnindexed {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        sessions::created_at.walk_ast(out)
    }
}
