//! Test: reads of the feed walk an index in the order of positions, and those of one organization
//! walk its own rows alone.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use domain::{Caller, Capability, FeedRights, OrganizationId, Reach, SessionId};

use super::explain::{generic_plan, plan};
use crate::{
    Database,
    engine::postgres::server::FEED_SETTINGS,
    schema::{events, feed_floors},
    scope::{
        feed::{
            DELETE_FROM_AUDIT, FeedParams, MOVE_FLOORS, NEXT_ORGANIZATION, PositionRange,
            feed_event, feed_floor, feed_of_all, feed_of_organization, feed_only_events, feed_page,
        },
        plan_tests::filled_database,
    },
    test_database::TestDatabase,
};

/// Organizations with many rows, few rows, and none. PostgreSQL prefers other plans for few rows.
const ORGANIZATIONS: [&str; 3] = ["org-1", "small", "empty"];

const SMALL: &str = "INSERT INTO events
    (id, organization, session, sequence, name, at, actor_kind, payload)
    VALUES ('evt_s1', 'small', NULL, 0, 'session.created', 1, 'system', '[]'),
        ('evt_s2', 'small', NULL, 0, 'session.created', 2, 'system', '[]')";

const RANGE: PositionRange = PositionRange { after: 7, until: 15_000 };

/// Whole and confined readers of an organization.
fn readers(organization: &str) -> [FeedParams; 2] {
    let mut caller = Caller::operator(OrganizationId::parse(organization).expect("a name"));
    let whole = FeedRights::of(&caller).expect("may manage");
    caller.reach = Reach::Only((1..5).map(SessionId::from_bits).collect());
    assert!(caller.capabilities.contains(Capability::Manage));
    let confined = FeedRights::of(&caller).expect("may manage");
    [whole, confined].map(|rights| FeedParams::of(&rights))
}

/// Evaluates the body for each statement of the feed, with its index on PostgreSQL and on SQLite
/// and the columns of the index that must be bounded.
macro_rules! for_each_statement {
    ($feed:expr, |$query:ident, $index:ident, $bounds:ident| $body:expr) => {
        let by_position = (["events_feed", "events_feed"], &["organization", "position"][..]);
        for_each_statement!(
            @each by_position,
            feed_page($feed, RANGE).select((events::position, events::payload)),
            |$query, $index, $bounds| $body
        );
        for_each_statement!(
            @each by_position,
            feed_page($feed, RANGE).select(events::id).limit(1),
            |$query, $index, $bounds| $body
        );
        for_each_statement!(
            @each by_position,
            feed_of_organization($feed, RANGE).select(events::position).offset(499).limit(1),
            |$query, $index, $bounds| $body
        );
        for_each_statement!(
            @each (["events_pkey", "events_in_stream_by_id"], &["organization", "stream", "id"][..]),
            feed_event($feed, "messages", "evt_7").select(events::position),
            |$query, $index, $bounds| $body
        );
        for_each_statement!(
            @each (["feed_floors_pkey", "sqlite_autoindex_feed_floors_1"], &["organization"][..]),
            feed_floor($feed).select(feed_floors::position),
            |$query, $index, $bounds| $body
        );
        for_each_statement!(
            @each (["events_feed_of_all", "PRIMARY KEY"], &["position"][..]),
            feed_of_all(RANGE).select((events::position, events::payload)).limit(1_000),
            |$query, $index, $bounds| $body
        );
    };
    (@each $expected:expr, $statement:expr, |$query:ident, $index:ident, $bounds:ident| $body:expr) => {{
        let ($index, $bounds) = $expected;
        let $query = $statement;
        $body
    }};
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_reads_the_feed_in_order_by_index() {
    let Some(test_db) = TestDatabase::postgres().await else { return };
    drop(filled_database(&test_db, "decode(md5(i::text), 'hex')", true).await);
    TestDatabase::execute(&test_db, SMALL).await;
    let client = test_db.client().await;
    for (name, value) in FEED_SETTINGS {
        client.batch_execute(&format!("SET {name} = '{value}'")).await.expect("set");
    }
    for analysed in [true, false] {
        if !analysed {
            let forget = "DELETE FROM pg_statistic WHERE starelid = 'events'::regclass";
            TestDatabase::execute(&test_db, forget).await;
        }
        for feed in readers("org-1") {
            for_each_statement!(&feed, |query, index, bounds| {
                let plan = generic_plan(&client, &query).await;
                let [index, _] = index;
                assert!(plan.contains(&format!("using {index} on")), "{index}:\n{plan}");
                assert!(!plan.contains("Sort") && !plan.contains("Seq Scan"), "{index}:\n{plan}");
                let line = plan.lines().find(|line| line.contains("Index Cond"));
                let line = line.expect("bounds");
                assert!(bounds.iter().all(|bound| line.contains(bound)), "{bounds:?}:\n{plan}");
            });
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_reads_the_feed_in_order_by_index() {
    for analysed in [false, true] {
        let test_db = TestDatabase::sqlite();
        let database: Database = filled_database(&test_db, "randomblob(32)", analysed).await;
        TestDatabase::execute(&test_db, SMALL).await;
        for feed in ORGANIZATIONS.into_iter().flat_map(readers) {
            for_each_statement!(&feed, |query, index, bounds| {
                let plan = plan!(database, |_conn| query);
                let [_, index] = index;
                assert!(plan.contains(index) && !plan.contains("SCAN"), "{index}:\n{plan}");
                assert!(!plan.contains("TEMP B-TREE"), "{index}:\n{plan}");
                let bounds = bounds.iter().map(|bound| match *bound {
                    "position" if index == "PRIMARY KEY" => "rowid>? AND rowid<?",
                    "position" => "<expr>>? AND <expr><?",
                    bound => bound,
                });
                for bound in bounds {
                    assert!(plan.contains(bound), "{bound}:\n{plan}");
                }
            });
        }
    }
}

/// Returns the plans of the removal of old events, with their indexes on PostgreSQL and SQLite. The
/// plan is the same for every value.
async fn removal_plans(database: &Database) -> Vec<([&'static str; 2], String)> {
    let range = PositionRange { after: 7, until: 507 };
    let floors = MOVE_FLOORS.replace("$1", "7").replace("$2", "507");
    let next = NEXT_ORGANIZATION.replace("$1", "'org-1'");
    let audit = DELETE_FROM_AUDIT.replace("$1", "'org-1'").replace("$2", "500");
    let audit = audit.replace("$3", "300");
    let of_all = ["events_feed_of_all", "PRIMARY KEY"];
    let by_id = ["events_pkey", "events_in_stream_by_id"];
    let kinds = ["session.status"];
    vec![
        (of_all, plan!(database, |_conn| diesel::sql_query(floors.clone()))),
        (of_all, plan!(database, |_conn| diesel::delete(feed_only_events(range, &kinds)))),
        // Several indexes begin with the organization.
        (["events_", "(organization>?)"], plan!(database, |_conn| diesel::sql_query(next.clone()))),
        (by_id, plan!(database, |_conn| diesel::sql_query(audit.clone()))),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn removal_of_old_events_reads_few_rows_by_index() {
    if let Some(test_db) = TestDatabase::postgres().await {
        let database = filled_database(&test_db, "decode(md5(i::text), 'hex')", true).await;
        for ([index, _], plan) in removal_plans(&database).await {
            assert!(
                plan.contains(index) && !plan.contains("Seq Scan on events"),
                "{index}:\n{plan}"
            );
        }
    }
    for analysed in [false, true] {
        let test_db = TestDatabase::sqlite();
        let database = filled_database(&test_db, "randomblob(32)", analysed).await;
        for ([_, index], plan) in removal_plans(&database).await {
            assert!(plan.contains(index) && !plan.contains("SCAN events"), "{index}:\n{plan}");
        }
    }
}
