//! Tests: the statements of requests and of the worker find their rows by an index on both engines.
//!
//! The tests are in the crate because they run EXPLAIN on the fragments that the stores use.

use diesel::{
    dsl::{max, min},
    prelude::*,
};
use diesel_async::RunQueryDsl;
use domain::{
    Caller, Capability, ExpectedVersion, GatewayId, KeyId, OrganizationId, Reach, Scope, SessionId,
    Status, Timestamp, Version,
    ports::{Position, SessionFilter, SessionPage},
};

use self::explain::{PostgresPlan, plan};
use crate::{
    Database,
    batch::session_writes::SessionWrites,
    database::pools::Pools,
    rows::session::SessionRow,
    schema::{link_attempts, usage},
    scope::{
        ExpectedRowVersion, ScopeParams, ScopedSessionId, all_cleanups, any_events_of_session,
        any_of_sessions, api_keys,
        counts::{
            attempts_of_organization, attempts_of_phone, attempts_of_session, old_attempts,
            session_at_with_metadata, sessions_among, usage_of_one,
        },
        due_cleanups, due_sessions, event_page, events, key_page, live_key, retirements, session,
        session_at,
        session_lists::{SessionPages, SessionQuery, pages_by_status},
        sessions, sessions_by_keys, sessions_with_due_time, valid_key, valid_keys_by_id,
    },
    test_database::TestDatabase,
};

mod accesses;
mod browser_sessions;
mod compilation;
mod deliveries;
mod emptied;
mod explain;
mod feed;
mod message_retention;
mod messages;
mod outbox;
mod rotation;
mod share_links;
mod webhooks;

/// Enough rows of enough organizations to make an index worthwhile. No row of organization 1 has
/// the label and the status that are the most frequent elsewhere.
const ROWS: &str = include_str!("plan_tests.sql");

/// Inserts the rows, with or without statistics.
async fn filled_database(test_db: &TestDatabase, digest: &str, analysed: bool) -> Database {
    let database = test_db.open().await;
    test_db.execute(&ROWS.replace("DIGEST", digest)).await;
    if analysed {
        test_db.execute("ANALYZE").await;
    }
    database
}

fn scope() -> Scope {
    let organization = OrganizationId::parse("org-1").expect("a name");
    Caller::operator(organization).may(Capability::Manage).expect("may manage")
}

fn query(filter: SessionFilter, after: Option<Position>) -> SessionQuery {
    SessionQuery::for_caller(&scope(), &SessionPage { filter, after, limit: 50 })
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn everything() -> SessionFilter {
    SessionFilter::default()
}

/// A plan, the index that it must name, and the columns that must be bounds of that index on
/// PostgreSQL.
struct Expected {
    plan: String,
    index: &'static str,
    bounds: Vec<&'static str>,
    /// Whether few rows match.
    rare: bool,
}

/// Returns the plans of pages of sessions, with their indexes.
async fn list_plans(database: &Database) -> Vec<Expected> {
    let place = Position { created_at: at(6_000), id: SessionId::from_bits(5) };
    let label = |label: &str| SessionFilter { label: Some(label.to_owned()), ..everything() };
    let status = |status| SessionFilter { statuses: vec![status], ..everything() };
    let phone = SessionFilter { phone: Some("phone-7".to_owned()), ..everything() };
    let node = SessionFilter { gateway: GatewayId::parse("gw-3"), ..everything() };
    let mut expected = Vec::new();
    for (filter, index, column, rare) in [
        (everything(), "sessions_newest_first", None, false),
        (label("rare"), "sessions_by_label", Some("label"), true),
        (label("usual"), "sessions_by_label", Some("label"), false),
        (status(Status::Failed), "sessions_by_status", Some("status"), true),
        (status(Status::Stopped), "sessions_by_status", Some("status"), false),
        (status(Status::Working), "sessions_by_status", Some("status"), false),
        (phone, "sessions_by_phone", Some("phone_number"), true),
        (node, "sessions_by_node", Some("gateway"), false),
    ] {
        for after in [None, Some(place.clone())] {
            let query = query(filter.clone(), after);
            let plan = plan!(database, |conn| conn.session_page(&query, query.status()));
            let bounds = ["organization", "created_at"].into_iter().chain(column).collect();
            expected.push(Expected { plan, index, bounds, rare });
        }
    }
    expected
}

/// Returns the plans of the other statements of requests, and of frequent statements of the worker.
#[expect(clippy::too_many_lines, reason = "a list of statements, each with its index")]
async fn lookup_plans(database: &Database) -> Vec<Expected> {
    let params = ScopeParams::of(&scope());
    let place = super::KeysetPosition::of(Some(&Position {
        created_at: at(6_000),
        id: KeyId::from_bits(5),
    }));
    let page = SessionPage { filter: everything(), after: None, limit: 50 };
    let ids = ["sess_1", "sess_2"].map(str::to_owned);
    let key_ids = ["key_1", "key_2"].map(str::to_owned);
    let everybody = SessionQuery::for_operators(None, &page);
    let expect = |plan, index, bounds: &[&'static str]| Expected {
        plan,
        index,
        bounds: bounds.to_vec(),
        rare: false,
    };
    vec![
        expect(
            plan!(database, |_conn| due_sessions(300).select(SessionRow::as_select()).limit(10)),
            "sessions_due",
            &["due"],
        ),
        expect(
            plan!(database, |_conn| due_cleanups(300).select(retirements::session).limit(10)),
            "retirements_due",
            &["due"],
        ),
        expect(
            plan!(database, |_conn| any_of_sessions(&ids)
                .select((sessions::id, sessions::version))),
            "sessions_by_id",
            &["id"],
        ),
        // The first entry of the index is the earliest.
        expect(
            plan!(database, |_conn| sessions_with_due_time().select(min(sessions::due))),
            "sessions_due",
            &[],
        ),
        expect(
            plan!(database, |_conn| all_cleanups().select(min(retirements::due))),
            "retirements_due",
            &[],
        ),
        expect(
            plan!(database, |conn| conn.session_page(&everybody, None)),
            "sessions_newest_of_all",
            &["created_at", "id"],
        ),
        expect(
            plan!(database, |_conn| event_page(&params, "evt_~").select(events::id).limit(50)),
            "events_primary_key",
            &["organization", "stream", "id"],
        ),
        expect(
            plan!(database, |_conn| event_page(&params, "evt_~")
                .filter(events::name.eq("api_key.created"))
                .select(events::id)
                .limit(50)),
            "events_by_name",
            &["organization", "name", "id"],
        ),
        expect(
            plan!(database, |_conn| any_events_of_session("sess_1").select(max(events::sequence))),
            "events_in_stream",
            &["session", "stream"],
        ),
        expect(
            plan!(database, |_conn| valid_key(&[7; 32], 300).select(api_keys::id)),
            "api_keys_at_the_door",
            &["digest", "good_until"],
        ),
        expect(
            plan!(database, |_conn| valid_keys_by_id(&key_ids, 300).select(api_keys::id)),
            "api_keys_by_id",
            &["id"],
        ),
        expect(
            plan!(database, |_conn| key_page(&params, &place).select(api_keys::id).limit(50)),
            "api_keys_newest_first",
            &["organization", "created_at"],
        ),
        expect(
            plan!(database, |_conn| attempts_of_session(&params, "sess_1", 5, 300)
                .select(link_attempts::at)
                .limit(1)),
            "link_attempts_primary_key",
            &["organization", "session"],
        ),
        expect(
            plan!(database, |_conn| attempts_of_phone(&params, &[7; 16], 5, 300)
                .select(link_attempts::at)
                .limit(1)),
            "link_attempts_by_phone",
            &["organization", "phone", "at"],
        ),
        expect(
            plan!(database, |_conn| attempts_of_organization(&params, 5, 300)
                .select(link_attempts::at)
                .limit(1)),
            "link_attempts_by_organization",
            &["organization", "at"],
        ),
        expect(
            plan!(database, |_conn| old_attempts(300).select(link_attempts::at).limit(9)),
            "link_attempts_by_age",
            &["at"],
        ),
        expect(
            plan!(database, |_conn| usage_of_one(&params, "sessions").select(usage::used)),
            "usage_primary_key",
            &["organization", "stock"],
        ),
    ]
}

/// Returns the plans of statements that find one row by organization and id. Two indexes of
/// PostgreSQL contain both columns and either is correct: a foreign row must not be found and then
/// filtered.
async fn by_id_plans(database: &Database) -> Vec<String> {
    let one = ScopedSessionId::new(&scope(), &SessionId::from_bits(1));
    let params = ScopeParams::of(&scope());
    let expected = ExpectedRowVersion::of(ExpectedVersion { version: Version(1), due: None })
        .expect("a guard");
    let ids = [one.id.clone()];
    vec![
        plan!(database, |_conn| session(&one).select(SessionRow::as_select())),
        plan!(database, |_conn| diesel::delete(session(&one).filter(sessions::version.eq(1)))),
        plan!(database, |_conn| diesel::update(session_at(&one, expected))
            .set(sessions::version.eq(2))),
        plan!(database, |_conn| diesel::update(session_at_with_metadata(&one, expected, Some(9)))
            .set(sessions::version.eq(2))),
        plan!(database, |_conn| sessions_among(&params, &ids).select(sessions::id)),
        plan!(database, |_conn| live_key(&params, "key_1").select(api_keys::name)),
    ]
}

/// Returns the plans of a page with one of two statuses, and of a page for a caller that is
/// confined to a few sessions.
async fn merged_and_confined_plans(database: &Database) -> [String; 2] {
    let statuses = vec![Status::Failed, Status::ScanQrCode];
    let both = query(SessionFilter { statuses, ..everything() }, None);
    let merged = plan!(database, |conn| pages_by_status!(conn, &both));
    let mut confined = Caller::operator(OrganizationId::parse("org-1").expect("a name"));
    confined.reach = Reach::Only((1..5).map(SessionId::from_bits).collect());
    let scope = confined.may(Capability::Manage).expect("may manage");
    let few = SessionQuery::for_caller(
        &scope,
        &SessionPage { filter: everything(), after: None, limit: 50 },
    );
    [merged, plan!(database, |conn| conn.session_page(&few, None))]
}

/// Returns the plan of a batched lookup on a lookup connection.
async fn batched_lookup(database: &Database) -> String {
    let Pools::Postgres(pool) = &database.pools else { panic!("only PostgreSQL is asked so") };
    let lookups: Vec<_> =
        (1..30).map(|n| ScopedSessionId::new(&scope(), &SessionId::from_bits(n))).collect();
    let lookups = lookups.iter().collect();
    let query = PostgresPlan(sessions_by_keys(&lookups).select(SessionRow::as_select()));
    let conn = pool.lookups.connection().await.expect("a connection");
    let lines: Vec<String> = query.load(&mut &*conn).await.expect("a plan");
    lines.join("\n")
}

/// Returns the plan of a batched write on a lookup connection.
async fn batched_write(database: &Database) -> String {
    let Pools::Postgres(pool) = &database.pools else { panic!("only PostgreSQL is asked so") };
    let query = PostgresPlan(SessionWrites::default().statement().expect("a statement"));
    let conn = pool.lookups.connection().await.expect("a connection");
    let lines: Vec<String> = query.load(&mut &*conn).await.expect("a plan");
    lines.join("\n")
}

/// Asserts that PostgreSQL finds one row by organization and id.
fn assert_found_by_id(plan: &str) {
    assert!(!plan.contains("Seq Scan"), "{plan}");
    let bounds = plan.lines().find(|line| line.contains("Index Cond")).expect("bounds");
    assert!(bounds.contains("(id = ") && bounds.contains("(organization = "), "{plan}");
    // Other indexes have further columns between the two.
    let direct = ["sessions_pkey", "sessions_by_id", "api_keys_pkey", "api_keys_by_id"];
    assert!(direct.iter().any(|index| plan.contains(index)), "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_finds_rows_by_index() {
    let Some(test_db) = TestDatabase::postgres().await else { return };
    let database = filled_database(&test_db, "decode(md5(i::text), 'hex')", true).await;
    for plan in by_id_plans(&database).await.into_iter().chain([batched_lookup(&database).await]) {
        assert_found_by_id(&plan);
    }
    let batched_write = batched_write(&database).await;
    let found = batched_write.lines().filter(|line| line.contains("Index Cond"));
    for (name, times) in [("(id = ", 2), ("(stock = ", 1)] {
        let by = |bounds: &&str| bounds.contains(name) && bounds.contains("(organization = ");
        assert_eq!(found.clone().filter(by).count(), times, "{batched_write}");
    }
    assert_eq!(found.count(), 3, "{batched_write}");
    assert!(!batched_write.contains("Seq Scan"), "{batched_write}");
    let [merged, confined] = merged_and_confined_plans(&database).await;
    assert_eq!(merged.matches("sessions_by_status").count(), 4, "{merged}");
    assert!(!merged.contains("Seq Scan"), "{merged}");
    let bounds = confined.lines().find(|line| line.contains("Index Cond")).expect("bounds");
    assert!(bounds.contains("(id = ANY") && confined.contains("sessions_by_id"), "{confined}");
    let all = list_plans(&database).await.into_iter().chain(lookup_plans(&database).await);
    for Expected { plan, index, bounds, rare } in all {
        let index = index.replace("_primary_key", "_pkey");
        assert!(plan.contains(&index) && !plan.contains("Seq Scan"), "{index}:\n{plan}");
        // PostgreSQL may collect and sort few rows.
        assert!(rare || !plan.contains("Sort"), "{index}:\n{plan}");
        // The bounds of a page are conditions of the index, not filters.
        let line = plan.lines().find(|line| line.contains("Index Cond")).unwrap_or_default();
        assert!(bounds.iter().all(|bound| line.contains(bound)), "{bounds:?}:\n{plan}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_finds_rows_by_index() {
    // berth never analyses an SQLite file; an operator may.
    for analysed in [false, true] {
        let test_db = TestDatabase::sqlite();
        let database = filled_database(&test_db, "randomblob(32)", analysed).await;
        for plan in by_id_plans(&database).await {
            assert!(plan.contains("_1 (organization=? AND id=?)"), "{plan}");
        }
        let [merged, confined] = merged_and_confined_plans(&database).await;
        let each = "SEARCH sessions USING INDEX sessions_by_status (organization=? AND status=?";
        assert_eq!(merged.matches(each).count(), 4, "{merged}");
        assert!(!merged.contains("SCAN sessions") && !merged.contains("B-TREE"), "{merged}");
        assert!(confined.contains("sessions_by_id (id=?"), "{confined}");
        let all = list_plans(&database).await.into_iter().chain(lookup_plans(&database).await);
        for Expected { plan, index, bounds, .. } in all {
            let index = match index {
                "events_primary_key" => "events_in_stream_by_id",
                "usage_primary_key" | "link_attempts_primary_key" => "PRIMARY KEY",
                index => index,
            };
            assert!(plan.contains(index) && !plan.contains("SCAN"), "{index}:\n{plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{index}:\n{plan}");
            assert!(bounds.iter().all(|bound| plan.contains(bound)), "{bounds:?}:\n{plan}");
        }
    }
}
