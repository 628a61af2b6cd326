//! Tests: the state of a database without a migration, and the adaptation of a restored copy.

use domain::{EventId, FeedPosition, Timestamp, ports::Feed as _};
use store_diesel::{AdaptedCopy, Config, Database, Inspection};

use crate::{both_databases::on_both, test_database::TestDatabase};

async fn insert(test_db: &TestDatabase, id: u128) {
    let id = EventId::from_bits(id);
    let insert = format!(
        "INSERT INTO events (id, organization, session, sequence, name, at, actor_kind, payload)
            VALUES ('{id}', 'acme', NULL, 0, 'session.deleted', 1, 'system', '[]')"
    );
    test_db.execute(&insert).await;
}

async fn newest(store: &Database) -> u64 {
    let until = store.horizon().await.expect("the horizon").safe;
    let page = store.page_of_all(FeedPosition::START, until, 1_000).await.expect("a page");
    page.events.last().expect("an event").position.number()
}

async fn positions_of_a_restored_copy_are_given_out_once(test_db: TestDatabase) {
    let store = test_db.open().await;
    for id in 1..=3 {
        insert(&test_db, id).await;
    }
    let before = newest(&store).await;
    let adapted = store.adapt_restored_copy(Timestamp::from_millis(7)).await.expect("adapted");
    assert_eq!(adapted, AdaptedCopy { sessions: 0, logins: 0 });
    insert(&test_db, 4).await;
    assert_eq!(newest(&store).await, before + 1_000_001);
}

async fn inspection_tells_the_state_of_the_migrations(test_db: TestDatabase) {
    let config = Config::new(test_db.url());
    let empty = Inspection::read(&config).await.expect("inspected");
    assert!(!empty.pending.is_empty() && empty.newest.is_none());
    drop(test_db.open().await);
    let ready = Inspection::read(&config).await.expect("inspected");
    assert_eq!((ready.pending.len(), ready.unknown.len()), (0, 0));
    assert_eq!(faults(&ready), Vec::<&str>::new());
    assert_eq!(ready.newest, empty.pending.last().cloned());
}

/// Returns the faults, except that of a server that runs for tests alone.
fn faults(inspection: &Inspection) -> Vec<&str> {
    let all = inspection.faults.iter().map(String::as_str);
    all.filter(|fault| !fault.starts_with("fsync is off")).collect()
}

on_both!(
    positions_of_a_restored_copy_are_given_out_once,
    inspection_tells_the_state_of_the_migrations,
);

#[tokio::test(flavor = "multi_thread")]
async fn asynchronous_commits_are_a_fault() {
    let Some(test_db) = TestDatabase::postgres().await else { return };
    test_db.administer("ALTER DATABASE {} SET synchronous_commit = off").await;
    let inspection = Inspection::read(&Config::new(test_db.url())).await.expect("inspected");
    let faults = faults(&inspection);
    assert!(faults.len() == 1 && faults[0].contains("synchronous_commit"), "{faults:?}");
}
