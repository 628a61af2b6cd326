//! Suite of [`ErasureStore`].

use crate::{
    id::GatewayId,
    ports::{
        environment::Environment,
        store::{
            erasure::{ErasedRows, ErasureStore},
            events::EventLog,
            sessions::SessionStore,
        },
    },
    testing::{
        contract::fixtures::{assert_inserted, fresh_scope, fresh_session, stored_events},
        writes::{cleanup_of, delete_session, insert_session},
    },
};

/// Rows of an organization are erased in bounded steps, and no row of another one.
pub async fn erasure_removes_the_rows_of_one_organization(
    store: &(impl ErasureStore + EventLog + SessionStore),
    environment: &dyn Environment,
) {
    let (mine, other) = (fresh_scope(environment), fresh_scope(environment));
    for scope in [&mine, &other] {
        for _ in 0..3 {
            let (session, events) = fresh_session(scope, environment);
            assert_inserted(insert_session(store, scope, &session, &events, None).await);
        }
    }
    let organization = mine.organization();
    let erase =
        async |rows, limit| store.erase_rows(organization, rows, limit).await.expect("erase");
    for rows in [ErasedRows::ApiKeys, ErasedRows::IdempotencyRecords, ErasedRows::LinkAttempts] {
        assert_eq!(erase(rows, 10).await, 0, "{rows:?}");
    }
    assert_eq!(stored_events(store, &mine).await.len(), 3);
    assert_eq!(erase(ErasedRows::Events, 2).await, 2);
    assert_eq!(erase(ErasedRows::Events, 2).await, 1);
    assert_eq!(erase(ErasedRows::Events, 2).await, 0);
    assert_eq!(stored_events(store, &mine).await, []);
    assert_eq!(stored_events(store, &other).await.len(), 3);
}

/// A deleted session counts until its cleanup is finished and its messages are removed.
pub async fn unfinished_deletions_are_counted(
    store: &(impl ErasureStore + SessionStore),
    environment: &dyn Environment,
) {
    let (mine, other) = (fresh_scope(environment), fresh_scope(environment));
    for scope in [&mine, &other] {
        let (mut session, events) = fresh_session(scope, environment);
        session.gateway = GatewayId::parse(&format!("gw-{}", environment.ulid()));
        assert_inserted(insert_session(store, scope, &session, &events, None).await);
        let cleanup = cleanup_of(&session, scope, environment.now());
        let deleted = delete_session(store, scope, session.version, &cleanup, &[]).await;
        assert_inserted(deleted);
    }
    let unfinished = store.unfinished_deletions(mine.organization()).await.expect("count");
    assert!((1..=2).contains(&unfinished), "{unfinished}");
    let never = fresh_scope(environment);
    assert_eq!(store.unfinished_deletions(never.organization()).await.expect("count"), 0);
}
