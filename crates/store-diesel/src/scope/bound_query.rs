//! [`BoundQuery`]: SQL text whose parameters `$1`, `$2` and so on stand in any order, also several
//! times, for both databases.
//!
//! Diesel prepares the statement of its `sql_query` anew for every execution. A [`BoundQuery`] stays
//! prepared on its connection as the queries that Diesel builds: always on SQLite, whose plans do not
//! depend on values, and on PostgreSQL if it is [prepared](BoundQuery::prepared).
//!
//! Decision: ADR 0054.

use std::marker::PhantomData;

use diesel::{
    QueryResult,
    backend::Backend,
    pg::Pg,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    result::Error::QueryBuilderError,
    serialize::ToSql,
    sql_types::{HasSqlType, Untyped},
    sqlite::Sqlite,
};

/// SQL text with the values of its parameters.
pub(crate) struct BoundQuery<P> {
    text: String,
    parameters: P,
    is_prepared: bool,
}

/// The value of a parameter, behind those of the parameters before.
pub(crate) struct Parameter<P, ST, V> {
    before: P,
    value: V,
    sql_type: PhantomData<fn() -> ST>,
}

/// The values of parameters.
pub(crate) trait Parameters {
    /// Number of the parameters.
    const COUNT: usize;
}

/// The values of parameters, for a database.
pub(crate) trait PushParameter<DB: Backend> {
    /// Adds the parameter of a number, from 1, to a query.
    fn push<'b>(&'b self, number: usize, out: &mut AstPass<'_, 'b, DB>) -> QueryResult<()>;
}

impl BoundQuery<()> {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), parameters: (), is_prepared: false }
    }
}

impl<P> BoundQuery<P> {
    /// Sets the value of the next parameter.
    pub(crate) fn bind<ST, V>(self, value: V) -> BoundQuery<Parameter<P, ST, V>> {
        let Self { text, parameters: before, is_prepared } = self;
        let parameters = Parameter { before, value, sql_type: PhantomData };
        BoundQuery { text, parameters, is_prepared }
    }

    /// Keeps the statement prepared on PostgreSQL. Only for connections whose settings make one plan for
    /// all values: elsewhere, PostgreSQL may choose a plan by the values of the first executions.
    pub(crate) fn prepared(self) -> Self {
        Self { is_prepared: true, ..self }
    }
}

impl Parameters for () {
    const COUNT: usize = 0;
}

impl<P: Parameters, ST, V> Parameters for Parameter<P, ST, V> {
    const COUNT: usize = P::COUNT + 1;
}

impl<DB: Backend> PushParameter<DB> for () {
    fn push<'b>(&'b self, number: usize, _: &mut AstPass<'_, 'b, DB>) -> QueryResult<()> {
        Err(QueryBuilderError(format!("the parameter ${number} has no value").into()))
    }
}

impl<DB, P, ST, V> PushParameter<DB> for Parameter<P, ST, V>
where
    DB: Backend + HasSqlType<ST>,
    P: Parameters + PushParameter<DB>,
    V: ToSql<ST, DB>,
{
    fn push<'b>(&'b self, number: usize, out: &mut AstPass<'_, 'b, DB>) -> QueryResult<()> {
        if number > P::COUNT {
            if number > Self::COUNT {
                return ().push(number, out);
            }
            return out.push_bind_param::<ST, V>(&self.value);
        }
        self.before.push(number, out)
    }
}

/// Adds the text, with each parameter in the syntax of the database.
fn push_text<'b, DB: Backend>(
    text: &'b str,
    parameters: &'b impl PushParameter<DB>,
    out: &mut AstPass<'_, 'b, DB>,
) -> QueryResult<()> {
    let mut parts = text.split('$');
    out.push_sql(parts.next().unwrap_or_default());
    for part in parts {
        let digits = part.find(|byte: char| !byte.is_ascii_digit()).unwrap_or(part.len());
        match part[..digits].parse() {
            Ok(number) => parameters.push(number, out)?,
            Err(_) => out.push_sql("$"),
        }
        out.push_sql(&part[digits..]);
    }
    Ok(())
}

impl<P: PushParameter<Pg>> QueryFragment<Pg> for BoundQuery<P> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        if !self.is_prepared {
            out.unsafe_to_cache_prepared();
        }
        push_text(&self.text, &self.parameters, &mut out)
    }
}

impl<P: PushParameter<Sqlite>> QueryFragment<Sqlite> for BoundQuery<P> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        push_text(&self.text, &self.parameters, &mut out)
    }
}

impl<P> QueryId for BoundQuery<P> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<P> Query for BoundQuery<P> {
    type SqlType = Untyped;
}

/// Binds the parameters of a statement.
macro_rules! bound_query {
    ($statement:expr, $($kind:ty: $value:expr),+) => {
        $crate::scope::bound_query::BoundQuery::new($statement)$(.bind::<$kind, _>($value))+
    };
}

/// Binds the parameters of a statement that stays prepared, for connections that make one plan for all
/// values: those for `messages` and for `feed`.
macro_rules! prepared_query {
    ($statement:expr, $($kind:ty: $value:expr),+) => {
        $crate::scope::bound_query::bound_query!($statement, $($kind: $value),+).prepared()
    };
}

pub(crate) use {bound_query, prepared_query};

#[cfg(test)]
mod tests {
    use diesel::{
        debug_query,
        sql_types::{BigInt, Text},
    };

    use super::*;

    #[test]
    fn parameters_stand_in_any_order_and_several_times() {
        let query = bound_query!("a = $2 AND b = $1 OR c = $2 '$.x'", Text: "one", BigInt: 2_i64);
        let of_postgres = debug_query::<Pg, _>(&query).to_string();
        assert_eq!(of_postgres, r#"a = $1 AND b = $2 OR c = $3 '$.x' -- binds: [2, "one", 2]"#);
        let of_sqlite = debug_query::<Sqlite, _>(&query).to_string();
        assert_eq!(of_sqlite, r#"a = ? AND b = ? OR c = ? '$.x' -- binds: [2, "one", 2]"#);
    }

    #[test]
    fn parameter_without_a_value_is_an_error() {
        for text in ["$0", "$3"] {
            let query = bound_query!(text, Text: "one", BigInt: 2_i64);
            let mut builder = diesel::pg::PgQueryBuilder::default();
            assert!(query.to_sql(&mut builder, &Pg).is_err(), "{text}");
        }
    }

    #[test]
    fn statement_stays_prepared_on_sqlite_and_where_it_is_prepared() {
        let prepared_each_time = bound_query!("$1", Text: "one");
        assert!(!prepared_each_time.is_safe_to_cache_prepared(&Pg).unwrap());
        assert!(prepared_each_time.is_safe_to_cache_prepared(&Sqlite).unwrap());
        let prepared = prepared_query!("$1", Text: "one");
        assert!(prepared.is_safe_to_cache_prepared(&Pg).unwrap());
    }
}
