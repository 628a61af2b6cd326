//! Tests: events of an earlier version, before the feed was created and while both versions run.

use domain::{
    Caller, EventId, FeedPosition, FeedRights,
    ports::{Feed as _, OrganizationFeed as _},
    testing::contract::stored_events,
};

use crate::{
    both_databases::on_both, migrations::revert_to, outage::scope, test_database::TestDatabase,
};

/// Inserts an event as the version before the feed does.
async fn insert_as_before(test_db: &TestDatabase, id: u128, sequence: u64) {
    let (id, session) = (EventId::from_bits(id), domain::SessionId::from_bits(1));
    let insert = format!(
        "INSERT INTO events (id, organization, session, sequence, name, at, actor_kind, actor_name,
            payload) VALUES ('{id}', 'acme', '{session}', {sequence}, 'session.deleted', 1, 'system',
            NULL, '[]')"
    );
    test_db.execute(&insert).await;
}

async fn events_of_earlier_versions_are_in_the_audit_log_alone(test_db: TestDatabase) {
    drop(test_db.open().await);
    revert_to(&test_db, "0014").await;
    for number in 1..=3 {
        insert_as_before(&test_db, number.into(), number).await;
    }
    let store = test_db.open().await;
    let start = store.horizon().await.expect("the horizon").safe;
    let rights = FeedRights::of(&Caller::operator(scope().organization().clone())).expect("may");
    let floor = store.floor(&rights).await.expect("the floor");
    assert_eq!(floor.oldest, None, "no event is in the feed");
    let oldest = store.position_of(&rights, &EventId::from_bits(1)).await.expect("a look-up");
    assert_eq!(oldest, None);

    // A router of the earlier version still runs.
    for number in 4..=5 {
        insert_as_before(&test_db, number.into(), number).await;
    }
    let until = store.horizon().await.expect("the horizon").safe;
    let page = store.feed_page(&rights, floor.position, until, 9).await.expect("a page");
    let page = page.expect("nothing was removed after the floor");
    let ids: Vec<_> = page.events.iter().map(|found| found.event.id.clone()).collect();
    assert_eq!(ids, [4, 5].map(EventId::from_bits));
    assert!(page.events.iter().all(|found| found.position > start));
    let of_all = store.page_of_all(start, until, 9).await.expect("a page");
    assert_eq!(of_all.events, page.events);
    assert!(start >= floor.position && floor.position >= FeedPosition::START);
    let audit: Vec<_> = stored_events(&store, &scope()).await;
    let ids: Vec<_> = audit.into_iter().map(|event| event.id).collect();
    assert_eq!(ids, [1, 2, 3, 4, 5].map(EventId::from_bits));
}

async fn feed_can_be_removed_and_created_again(test_db: TestDatabase) {
    let store = test_db.open().await;
    for number in 1..=3 {
        insert_as_before(&test_db, number.into(), number).await;
    }
    test_db.execute("UPDATE events SET payload = NULL WHERE sequence = 1").await;
    let before = stored_events(&store, &scope()).await;
    assert_eq!(before.len(), 3, "an absent payload is readable");
    drop(store);
    revert_to(&test_db, "0014").await;
    let store = test_db.open().await;
    assert_eq!(stored_events(&store, &scope()).await, before);
}

on_both!(
    events_of_earlier_versions_are_in_the_audit_log_alone,
    feed_can_be_removed_and_created_again,
);
