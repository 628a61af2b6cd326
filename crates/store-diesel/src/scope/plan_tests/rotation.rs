//! Test: round-robin claims and retention use their own indexes.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::explain::plan;
use crate::{
    Database,
    scope::{
        EVENTS_WITH_CODES, api_keys, keys_expired_before, keys_revoked_before,
        plan_tests::filled_database,
        round_robin::{DueQueue, organizations_statement, rows_statement},
    },
    test_database::TestDatabase,
};

/// Returns the plans of round-robin claims and of retention, with their indexes.
async fn round_robin_plans(database: &Database) -> Vec<(&'static str, String)> {
    let indexes = [
        (DueQueue::Sessions, "sessions_due_by_organization"),
        (DueQueue::Cleanups, "retirements_due_by_organization"),
        (DueQueue::Unplaced, "sessions_without_a_node"),
        (DueQueue::Outboxes, "session_messaging_outbox_by_organization"),
    ];
    let mut plans = Vec::new();
    for (queue, index) in indexes {
        for (statement, of_one) in
            [(organizations_statement(queue), false), (rows_statement(queue), true)]
        {
            // The plan is the same for every value.
            let statement = statement
                .replace("$1", "'org-1'")
                .replace("$2", "300")
                .replace("$3", if of_one { "10" } else { "'org-1'" });
            let query = || diesel::sql_query(statement.clone());
            plans.push((index, plan!(database, |_conn| query())));
        }
    }
    let codes = EVENTS_WITH_CODES.replace("$1, $2", "300, 'evt_1'");
    let codes = codes.replace("$3", "900").replace("$4", "10");
    plans.push(("events_with_codes", plan!(database, |_conn| diesel::sql_query(codes.clone()))));
    let revoked = plan!(database, |_conn| keys_revoked_before(9).select(api_keys::id).limit(9));
    plans.push(("api_keys_by_revocation", revoked));
    let expired = plan!(database, |_conn| keys_expired_before(9).select(api_keys::id).limit(9));
    plans.push(("api_keys_by_expiry", expired));
    plans
}

#[tokio::test(flavor = "multi_thread")]
async fn round_robin_and_retention_use_their_own_indexes() {
    let servers = TestDatabase::postgres().await.map(|db| (db, "decode(md5(i::text), 'hex')"));
    let files = [(TestDatabase::sqlite(), "randomblob(32)")];
    for (test_db, digest) in servers.into_iter().chain(files) {
        let database = filled_database(&test_db, digest, true).await;
        for (index, plan) in round_robin_plans(&database).await {
            assert!(plan.contains(index), "{index}:\n{plan}");
            let scans = plan
                .lines()
                .filter(|line| line.contains("Seq Scan on ") || line.starts_with("SCAN "));
            // The results of the statement's own parts are not tables.
            let made = |line: &&str| line.contains("turn") || line.contains("CONSTANT ROW");
            let of_tables = scans.filter(|line| !made(line) && !line.contains(index));
            assert_eq!(of_tables.count(), 0, "{index}:\n{plan}");
            assert!(!plan.contains("Sort") && !plan.contains("B-TREE"), "{index}:\n{plan}");
        }
    }
}
