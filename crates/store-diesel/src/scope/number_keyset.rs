//! Positions in lists whose rows have numbers as ids. See [`keyset`](crate::scope::keyset).

use diesel::{
    backend::Backend,
    expression::{AppearsOnTable, Expression, ValidGrouping, is_aggregate},
    query_builder::{AstPass, QueryFragment, QueryId},
    result::QueryResult,
    serialize::ToSql,
    sql_types::{BigInt, Bool, HasSqlType},
};

/// A position in a list of rows with a time and a number.
#[derive(Clone, Copy)]
pub(crate) struct NumberPosition {
    at: i64,
    number: i64,
}

impl NumberPosition {
    /// The position before every row.
    pub(crate) const START: Self = Self { at: i64::MAX, number: i64::MAX };

    /// Returns the position of a row.
    pub(crate) const fn at(at: i64, number: i64) -> Self {
        Self { at, number }
    }

    /// Returns the position before the first row that is older than a time.
    pub(crate) const fn before_time(at: i64) -> Self {
        Self { at, number: i64::MIN }
    }

    /// Returns the position that is further from the start of the list.
    pub(crate) fn further(self, other: Self) -> Self {
        if (other.at, other.number) < (self.at, self.number) { other } else { self }
    }

    /// Compares columns with the position: true for rows that follow in the list.
    pub(crate) const fn before<T, N>(self, time: T, number: N) -> NumberBefore<T, N> {
        NumberBefore { position: self, time, number }
    }
}

/// The expression that is true for rows that follow a position.
pub(crate) struct NumberBefore<T, N> {
    position: NumberPosition,
    time: T,
    number: N,
}

impl<T, N> Expression for NumberBefore<T, N> {
    type SqlType = Bool;
}

impl<T, N> ValidGrouping<()> for NumberBefore<T, N> {
    type IsAggregate = is_aggregate::No;
}

impl<Q, T: AppearsOnTable<Q>, N: AppearsOnTable<Q>> AppearsOnTable<Q> for NumberBefore<T, N> {}

impl<T: QueryId, N: QueryId> QueryId for NumberBefore<T, N> {
    type QueryId = NumberBefore<T::QueryId, N::QueryId>;
    const HAS_STATIC_QUERY_ID: bool = T::HAS_STATIC_QUERY_ID && N::HAS_STATIC_QUERY_ID;
}

impl<DB, T: QueryFragment<DB>, N: QueryFragment<DB>> QueryFragment<DB> for NumberBefore<T, N>
where
    DB: Backend + HasSqlType<BigInt>,
    i64: ToSql<BigInt, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql("(");
        self.time.walk_ast(out.reborrow())?;
        out.push_sql(", ");
        self.number.walk_ast(out.reborrow())?;
        out.push_sql(") < (");
        out.push_bind_param::<BigInt, _>(&self.position.at)?;
        out.push_sql(", ");
        out.push_bind_param::<BigInt, _>(&self.position.number)?;
        out.push_sql(")");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_of_a_time_range_is_a_position() {
        let start = NumberPosition::START.further(NumberPosition::before_time(7));
        assert_eq!((start.at, start.number), (7, i64::MIN));
        let after = NumberPosition::at(5, 3).further(NumberPosition::before_time(7));
        assert_eq!((after.at, after.number), (5, 3));
    }
}
