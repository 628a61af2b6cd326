//! The statements of a request's path find their rows by an index, on either database.
//!
//! In the crate, because it asks the databases about the very fragments the stores use.

#[path = "../../tests/store/place.rs"]
mod place;

use diesel::{
    QueryResult,
    backend::Backend,
    prelude::*,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{Integer, Text},
};
use diesel_async::RunQueryDsl;
use domain::{Caller, Capability, EventId, OrganizationId, Scope, SessionId};
use place::Place;

use super::{
    LookedFor, Owned, Owner, any_key, any_session_page, due_sessions, event_page, events_after,
    session, session_page,
};
use crate::{
    Database,
    pool::{Pools, checkout},
    session_row::SessionRow,
};

/// `EXPLAIN` in front of a query, as one database spells it and answers it.
macro_rules! explain {
    ($name:ident, $words:literal, $answer:ty) => {
        struct $name<Q>(Q);

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

/// How the database would find the rows of this query.
macro_rules! plan {
    ($database:expr, $query:expr) => {
        match &$database.pools {
            Pools::Postgres(pool) => {
                let mut conn = checkout(&pool.connections).await.expect("a connection");
                let lines: Vec<String> =
                    PostgresPlan($query).load(&mut conn).await.expect("a plan");
                lines.join("\n")
            }
            Pools::Sqlite(pools) => {
                let mut conn = checkout(&pools.read).await.expect("a connection");
                let lines: Vec<(i32, i32, i32, String)> =
                    SqlitePlan($query).load(&mut conn).await.expect("a plan");
                lines.into_iter().map(|line| line.3).collect::<Vec<_>>().join("\n")
            }
        }
    };
}

/// Enough rows of enough organizations that an index is worth it.
const ROWS: &str = "
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
    INSERT INTO sessions (id, organization, auto_read, presence_typing, metadata, is_admin_session,
        desired, epoch, wanted, status, heard, created_at, updated_at, version, sequence, due,
        failures)
    SELECT 'sess_' || i, 'org-' || (i % 10), false, false, '{}', false, 'stopped', 0, '{}',
        'stopped', '{}', i / 3, i, 1, 1, CASE WHEN i % 100 = 0 THEN i END, 0 FROM n;
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
    INSERT INTO events (id, organization, session, sequence, name, at, actor_kind, payload)
    SELECT 'evt_' || i, 'org-' || (i % 10), 'sess_' || i, 1, 'session.created', i, 'system', '[]'
    FROM n;
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
    INSERT INTO api_keys (id, organization, name, capabilities, digest, created_by_kind, created_at)
    SELECT 'key_' || i, 'org-' || (i % 10), 'k', '[]', DIGEST, 'system', i FROM n;
    ANALYZE;";

async fn filled(place: &Place, digest: &str) -> Database {
    let database = place.open().await;
    place.execute(&ROWS.replace("DIGEST", digest)).await;
    database
}

fn scope() -> Scope {
    let organization = OrganizationId::parse("org-1").expect("a name");
    Caller::operator(organization).may(Capability::Manage).expect("may manage")
}

/// Every plan of a request's path, with the index it must name.
async fn plans(database: &Database, primary_key: &str) -> Vec<(String, String)> {
    let one = Owned::session(&scope(), &SessionId::mint(1));
    let owner = Owner::of(&scope());
    let after = EventId::mint(1).to_string();
    let list = "sessions_newest_first";
    vec![
        (plan!(database, session(&one).select(SessionRow::as_select())), primary_key.into()),
        (
            plan!(
                database,
                session_page(&owner, &LookedFor::default(), 900, "sess_5")
                    .select(SessionRow::as_select())
                    .limit(50)
            ),
            list.into(),
        ),
        (
            plan!(
                database,
                session_page(&owner, &LookedFor::default(), i64::MAX, "")
                    .select(SessionRow::as_select())
                    .limit(50)
            ),
            list.into(),
        ),
        (
            plan!(database, due_sessions(300).select(SessionRow::as_select()).limit(10)),
            "sessions_due".into(),
        ),
        (
            plan!(database, events_after(&owner, &after).select(super::events::id).limit(50)),
            primary_key.replace("sessions", "events"),
        ),
        (
            plan!(
                database,
                any_session_page(&LookedFor::default(), i64::MAX, "")
                    .select(SessionRow::as_select())
                    .limit(50)
            ),
            "sessions_newest_of_all".into(),
        ),
        (
            plan!(database, event_page(&owner, "evt_~").select(super::events::id).limit(50)),
            primary_key.replace("sessions", "events"),
        ),
        (
            plan!(
                database,
                event_page(&owner, "evt_~")
                    .filter(super::events::name.eq("api_key.created"))
                    .select(super::events::id)
                    .limit(50)
            ),
            "events_by_name".into(),
        ),
        (
            plan!(database, any_key("key_1").select(super::api_keys::id)),
            primary_key.replace("sessions", "api_keys"),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_finds_rows_by_index() {
    let place = Place::postgres().await;
    let database = filled(&place, "'\\x00'").await;
    let mut plans = plans(&database, "sessions_pkey").await;
    // Two indexes hold both names, and either will do: a foreign session must not be found at all,
    // rather than found and then filtered away.
    let (find, _) = plans.remove(0);
    let bounds = find.lines().find(|line| line.contains("Index Cond")).expect("bounds");
    assert!(bounds.contains("(id = ") && bounds.contains("(organization = "), "{find}");
    assert!(!find.contains("Filter"), "{find}");
    for (plan, index) in plans {
        assert!(plan.contains(&index) && !plan.contains("Seq Scan"), "{index}:\n{plan}");
        assert!(!plan.contains("Sort"), "{index}:\n{plan}");
        // Both bounds of a page are found in the index rather than filtered.
        if index == "sessions_newest_first" {
            let bounds = plan.lines().find(|line| line.contains("Index Cond")).expect("bounds");
            assert!(bounds.contains("organization") && bounds.contains("created_at"), "{plan}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_finds_rows_by_index() {
    let place = Place::sqlite();
    let database = filled(&place, "x'00'").await;
    for (plan, index) in plans(&database, "sqlite_autoindex_sessions_1").await {
        assert!(plan.contains(&index) && !plan.contains("SCAN"), "{index}:\n{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{index}:\n{plan}");
        if index == "sessions_newest_first" {
            assert!(plan.contains("(organization=? AND created_at<?)"), "{plan}");
        }
    }
}
