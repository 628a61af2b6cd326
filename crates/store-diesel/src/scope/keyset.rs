//! Keyset pagination: positions in lists that run from the newest to the oldest row.
//!
//! `(created_at, id) < (?, ?)` as a row comparison: both engines use it as a bound of an index, and
//! PostgreSQL estimates the number of rows beyond. Spelt out (`a < ? OR a = ? AND b < ?`) the
//! condition is a filter on the read rows; PostgreSQL estimates too few rows, and collects and
//! sorts the rest of the list for a deep page.

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

/// A position in a list. The start of the list is the position before every row, so that one
/// statement serves all pages.
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

    /// Returns the position of a row.
    pub(crate) fn at(created_at: i64, id: &str) -> Self {
        Self { created_at, id: id.to_owned() }
    }

    /// Compares columns with the position: true for rows that follow in the list.
    pub(crate) fn before<C, I>(&self, created_at: C, id: I) -> KeysetBefore<'_, C, I> {
        KeysetBefore { position: self, created_at, id }
    }
}

/// The expression that is true for rows that follow a position.
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

/// The creation time of a session as an expression that the index of the unfiltered list does not
/// match; for filtered lists.
///
/// PostgreSQL knows the frequency of a value, but not its frequency in one organization. So
/// PostgreSQL would search an organization's unfiltered list for a value that is frequent
/// elsewhere, and read the whole list for nothing. With this sort expression, only the index of the
/// filtered list provides the order. SQLite takes the index with the most bound columns.
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
