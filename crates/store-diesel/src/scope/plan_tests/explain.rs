//! `EXPLAIN` in front of a query, for both engines.

use diesel::{
    QueryResult,
    backend::Backend,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{Integer, Text},
};

/// Defines `EXPLAIN` in front of a query, in the syntax of one engine.
macro_rules! explain {
    ($name:ident, $words:literal, $answer:ty) => {
        pub(super) struct $name<Q>(pub(super) Q);

        impl<Q> QueryId for $name<Q> {
            type QueryId = ();
            const HAS_STATIC_QUERY_ID: bool = false;
        }

        impl<Q> Query for $name<Q> {
            type SqlType = $answer;
        }

        impl<DB: Backend, Q: QueryFragment<DB>> QueryFragment<DB> for $name<Q> {
            fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
                out.unsafe_to_cache_prepared();
                out.push_sql($words);
                self.0.walk_ast(out.reborrow())
            }
        }
    };
}

explain!(PostgresPlan, "EXPLAIN ", Text);
explain!(SqlitePlan, "EXPLAIN QUERY PLAN ", (Integer, Integer, Integer, Text));

/// Returns the plan of a query that is built for a connection.
macro_rules! plan {
    ($database:expr, |$conn:ident| $query:expr) => {
        match &$database.pools {
            $crate::database::pools::Pools::Postgres(pool) => {
                let mut conn = $crate::engine::checkout::checkout(&pool.connections)
                    .await
                    .expect("a connection");
                let query = {
                    let $conn = &*conn;
                    $query
                };
                let lines: Vec<String> = $crate::scope::plan_tests::explain::PostgresPlan(query)
                    .load(&mut conn)
                    .await
                    .expect("a plan");
                lines.join("\n")
            }
            $crate::database::pools::Pools::Sqlite(pools) => {
                let mut conn =
                    $crate::engine::checkout::checkout(&pools.read).await.expect("a connection");
                let query = {
                    let $conn = &*conn;
                    $query
                };
                let lines: Vec<(i32, i32, i32, String)> =
                    $crate::scope::plan_tests::explain::SqlitePlan(query)
                        .load(&mut conn)
                        .await
                        .expect("a plan");
                lines.into_iter().map(|line| line.3).collect::<Vec<_>>().join("\n")
            }
        }
    };
}
pub(super) use plan;
