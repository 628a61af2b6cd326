//! `EXPLAIN` in front of a query, for both engines.

use diesel::{
    QueryResult,
    backend::Backend,
    debug_query,
    pg::Pg,
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

/// Returns the plan that PostgreSQL makes once for all values. The client's connection has
/// `plan_cache_mode = force_generic_plan`.
pub(super) async fn generic_plan(
    client: &tokio_postgres::Client,
    query: &impl QueryFragment<Pg>,
) -> String {
    let text = debug_query::<Pg, _>(query).to_string();
    let text = text.split("-- binds").next().expect("a statement");
    let parameters = (1..100).take_while(|number| text.contains(&format!("${number}"))).count();
    let values = vec!["NULL"; parameters].join(", ");
    let prepare = format!("DEALLOCATE ALL; PREPARE explained AS {text}");
    client.batch_execute(&prepare).await.expect("prepared");
    let explain = format!("EXPLAIN EXECUTE explained({values})");
    let lines = client.simple_query(&explain).await.expect("a plan");
    let line = |message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    };
    lines.into_iter().filter_map(line).collect::<Vec<_>>().join("\n")
}

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
