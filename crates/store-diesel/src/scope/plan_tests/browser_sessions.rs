//! Test: statements of browser sessions find their rows by an index.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;
use domain::ports::ErasedRows;

use super::explain::plan;
use crate::{
    schema::browser_sessions,
    scope::{
        bound_query::bound_query,
        browser_sessions::{
            REMOVE_SURPLUS, any_browser_session, current_browser_session, current_browser_sessions,
            ended_browser_sessions,
        },
        erasure::erase_statement,
    },
    test_database::TestDatabase,
};

/// Sessions of 300 holders and 50 organizations.
const ROWS: &str = "INSERT INTO browser_sessions
    (digest, kind, holder, organization, created_at, last_used_at, ends_at, expires_at)
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
    SELECT DIGEST, 'key', 'key ' || (i % 300), 'org-' || (i % 50), i, i, i + 1000, i + 500 FROM n;
    ANALYZE";

async fn check(test_db: TestDatabase, digest: &str) {
    let database = test_db.open().await;
    TestDatabase::execute(&test_db, &ROWS.replace("DIGEST", digest)).await;
    let digests = [vec![7; 32], vec![8; 32]];
    let (holder, erase) = ("key 7", erase_statement(ErasedRows::BrowserSessions));
    for (plan, index) in [
        (
            plan!(database, |_conn| current_browser_session(&[7; 32], 300)
                .select(browser_sessions::holder)),
            ["browser_sessions_pkey", "PRIMARY KEY"],
        ),
        (
            plan!(database, |_conn| current_browser_sessions(&digests, 300)
                .select(browser_sessions::organization)),
            ["browser_sessions_pkey", "PRIMARY KEY"],
        ),
        (
            plan!(database, |_conn| diesel::delete(any_browser_session(&[7; 32]))),
            ["browser_sessions_pkey", "PRIMARY KEY"],
        ),
        (
            plan!(database, |_conn| ended_browser_sessions(600)
                .select(browser_sessions::expires_at)
                .order(browser_sessions::expires_at.asc())
                .offset(9)
                .limit(1)),
            ["browser_sessions_by_expiry"; 2],
        ),
        (
            plan!(database, |_conn| bound_query!(REMOVE_SURPLUS, Text: holder, BigInt: 20_i64)),
            ["browser_sessions_by_holder"; 2],
        ),
        (
            plan!(database, |_conn| bound_query!(erase, Text: "org-1", BigInt: 10_i64)),
            ["browser_sessions_by_organization"; 2],
        ),
    ] {
        assert!(index.iter().any(|index| plan.contains(index)), "{index:?}:\n{plan}");
        let whole = ["Seq Scan", "SCAN browser_sessions"];
        assert!(!whole.iter().any(|whole| plan.contains(whole)), "{plan}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn browser_sessions_are_found_by_index() {
    if let Some(test_db) = TestDatabase::postgres().await {
        check(test_db, "decode(md5(i::text) || md5(i::text), 'hex')").await;
    }
    check(TestDatabase::sqlite(), "randomblob(32)").await;
}
