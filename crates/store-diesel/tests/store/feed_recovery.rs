//! Tests: positions after a restore, other isolation levels, and standbys.

use domain::{
    Caller, EventId, FeedPosition, FeedRights, SessionId, Timestamp,
    ports::{Feed as _, OrganizationFeed as _, PortError, WorkerStore as _},
};
use store_diesel::Database;

use crate::{both_databases::on_both, outage::scope, test_database::TestDatabase};

/// Writes an event past the store.
async fn insert(test_db: &TestDatabase, id: u128) {
    let id = EventId::from_bits(id);
    let insert = format!(
        "INSERT INTO events (id, organization, session, sequence, name, at, actor_kind, payload)
            VALUES ('{id}', 'acme', NULL, 0, 'session.deleted', 1, 'system', '[]')"
    );
    test_db.execute(&insert).await;
}

/// Returns the newest event of the feed with its position.
async fn newest(store: &Database) -> (EventId, FeedPosition) {
    let until = store.horizon().await.expect("the horizon").safe;
    let page = store.page_of_all(FeedPosition::START, until, 1_000).await.expect("a page");
    let newest = page.events.into_iter().next_back().expect("an event");
    (newest.event.id, newest.position)
}

async fn events_after_a_restore_are_after_the_restored_ones(test_db: TestDatabase) {
    let store = test_db.open().await;
    for id in 1..=50 {
        insert(&test_db, id).await;
    }
    let (_, before) = newest(&store).await;
    // A dump of the rows alone was restored.
    test_db
        .execute(match &test_db {
            TestDatabase::Sqlite { .. } => "DELETE FROM sqlite_sequence",
            TestDatabase::Postgres { .. } => "SELECT setval('events_position', 1)",
        })
        .await;
    let store = test_db.open().await;
    assert!(store.horizon().await.expect("the horizon").safe >= before);
    insert(&test_db, 51).await;
    let (id, after) = newest(&store).await;
    assert!(id == EventId::from_bits(51) && after > before, "{after:?} after {before:?}");
    // Another start changes nothing.
    drop(test_db.open().await);
    insert(&test_db, 52).await;
    assert_eq!(newest(&store).await.1.number(), after.number() + 1);
}

async fn page_during_a_removal_is_complete_or_gone(test_db: TestDatabase) {
    let store = test_db.open().await;
    let mut position = store.horizon().await.expect("the horizon").safe;
    for number in 1..=60_u8 {
        let (id, session) =
            (EventId::from_bits(number.into()), SessionId::from_bits(number.into()));
        let insert = format!(
            "INSERT INTO events (id, organization, session, sequence, name, at, actor_kind, payload)
                VALUES ('{id}', 'acme', '{session}', 1, 'session.status', 1, 'system', '[]')"
        );
        test_db.execute(&insert).await;
    }
    let until = store.horizon().await.expect("the horizon").safe;
    let rights = FeedRights::of(&Caller::operator(scope().organization().clone())).expect("may");
    let pruner = store.clone();
    let removal = tokio::spawn(async move {
        let before = Timestamp::from_millis(1_000);
        while pruner.prune_feed(before, 1).await.expect("prune") > 0 {}
    });
    let mut gone = 0;
    while gone == 0 || !removal.is_finished() {
        let page = store.feed_page(&rights, position, until, 1_000).await.expect("a page");
        if let Some(page) = page {
            let found: Vec<_> = page.events.iter().map(|found| found.position.number()).collect();
            let expected: Vec<_> = (position.number() + 1..=until.number()).collect();
            assert_eq!(found, expected, "after {gone} removals");
        } else {
            gone += 1;
            position = store.floor(&rights).await.expect("the floor").position;
        }
    }
    removal.await.expect("no panic");
}

on_both!(
    events_after_a_restore_are_after_the_restored_ones,
    page_during_a_removal_is_complete_or_gone,
);

#[tokio::test(flavor = "multi_thread")]
async fn open_transaction_holds_events_back_at_every_default_isolation_level() {
    let Some(test_db) = TestDatabase::postgres().await else { return };
    for (level, first) in [("repeatable read", 1), ("serializable", 3)] {
        let set = format!("ALTER DATABASE {{}} SET default_transaction_isolation = '{level}'");
        test_db.administer(&set).await;
        let (store, slow) = (test_db.open().await, test_db.client().await);
        let before = store.horizon().await.expect("the horizon");
        slow.batch_execute("BEGIN").await.expect("open");
        let insert_slowly = format!(
            "INSERT INTO events (id, organization, session, sequence, name, at, actor_kind, payload)
                VALUES ('{}', 'acme', NULL, 0, 'session.deleted', 1, 'system', '[]')",
            EventId::from_bits(first)
        );
        slow.batch_execute(&insert_slowly).await.expect("inserted");
        insert(&test_db, first + 1).await;
        assert_eq!(store.horizon().await.expect("the horizon").safe, before.newest, "{level}");
        slow.batch_execute("COMMIT").await.expect("committed");
        let until = store.horizon().await.expect("the horizon").safe;
        let page = store.page_of_all(before.safe, until, 9).await.expect("a page");
        let ids: Vec<_> = page.events.into_iter().map(|found| found.event.id).collect();
        assert_eq!(ids, [first, first + 1].map(EventId::from_bits), "{level}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn standby_gives_no_horizon() {
    let Some(test_db) = TestDatabase::postgres().await else { return };
    let store = test_db.open().await;
    store.horizon().await.expect("a primary gives a horizon");
    // Makes the server answer as a standby.
    test_db.administer("ALTER DATABASE {} SET search_path = public, pg_catalog").await;
    let standby =
        "CREATE FUNCTION pg_is_in_recovery() RETURNS boolean LANGUAGE sql AS 'SELECT true'";
    test_db.execute(standby).await;
    let store = test_db.open().await;
    let refused = store.horizon().await.expect_err("the locks of the primary are unknown");
    assert!(matches!(refused, PortError::Unavailable(_)), "{refused:?}");
}
