//! Tests: a read returns the last committed state, and a cached result neither outlives a commit
//! nor reaches another scope.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use domain::{
    Caller, Capability, OrganizationId, Reach, Scope, Session, SessionId, Settings, Version,
    ports::{SessionStore, Written},
    testing::{TestEnvironment, commit_parts, insert_session, update_session},
};
use store_diesel::Database;

use crate::{
    both_databases::{done, on_both},
    outage::scope,
    test_database::TestDatabase,
};

/// Inserts a session and reads it often enough for any cache to hold it.
async fn insert_and_read_twice(store: &Database) -> Session {
    let environment = TestEnvironment::new();
    let session =
        Session::new(scope().organization().clone(), None, Settings::default(), &*environment);
    done(insert_session(store, &scope(), &session, &[], None).await);
    for _ in 0..2 {
        assert_eq!(find(store, &scope(), &session.id).await.as_ref(), Some(&session));
    }
    session
}

async fn find(store: &Database, scope: &Scope, id: &SessionId) -> Option<Session> {
    SessionStore::find(store, scope, id).await.expect("find")
}

fn confined(organization: &str, reach: Reach) -> Scope {
    let organization = OrganizationId::parse(organization).expect("a name");
    let caller = Caller { reach, ..Caller::operator(organization) };
    caller.may(Capability::Manage).expect("may manage")
}

/// Returns scopes that do not contain the session: another organization, and another reach.
fn scopes_without_the_session() -> [Scope; 2] {
    let elsewhere = Reach::Only([SessionId::from_bits(1)].into());
    [confined("zeta", Reach::Everything), confined(scope().organization().as_str(), elsewhere)]
}

async fn change_of_another_process_is_read_at_once(test_db: TestDatabase) {
    let store = test_db.open().await;
    let session = insert_and_read_twice(&store).await;
    for change in 0..50 {
        let label = format!("change {change}");
        test_db
            .execute(&format!("UPDATE sessions SET label = '{label}' WHERE id = '{}'", session.id))
            .await;
        for _ in 0..2 {
            let found = find(&store, &scope(), &session.id).await.expect("it is there");
            assert_eq!(found.settings.label.as_ref(), Some(&label));
        }
    }
    test_db.execute("DELETE FROM sessions").await;
    assert_eq!(find(&store, &scope(), &session.id).await, None);
}

async fn cached_session_is_hidden_from_other_scopes(test_db: TestDatabase) {
    let store = test_db.open().await;
    let session = insert_and_read_twice(&store).await;
    for scopes_without_the_session in scopes_without_the_session() {
        for _ in 0..2 {
            assert_eq!(find(&store, &scopes_without_the_session, &session.id).await, None);
        }
    }
    let within =
        confined(scope().organization().as_str(), Reach::Only([session.id.clone()].into()));
    for _ in 0..2 {
        assert_eq!(find(&store, &within, &session.id).await.as_ref(), Some(&session));
    }
}

async fn concurrent_lookups_keep_their_scopes(test_db: TestDatabase) {
    let store = test_db.open().await;
    let session = insert_and_read_twice(&store).await;
    let [foreign, confined] = scopes_without_the_session();
    for _ in 0..20 {
        let queue_all = (0..30).map(|n| {
            let (store, id) = (store.clone(), session.id.clone());
            let scope = [scope(), foreign.clone(), confined.clone()][n % 3].clone();
            tokio::spawn(async move { (n, find(&store, &scope, &id).await) })
        });
        for one in queue_all.collect::<Vec<_>>() {
            let (n, found) = one.await.expect("no panic");
            assert_eq!(found.as_ref(), (n % 3 == 0).then_some(&session), "{n}");
        }
    }
}

async fn acknowledged_write_is_visible_to_every_read(test_db: TestDatabase) {
    const WRITES: u64 = 100;
    // Two stores, like two processes.
    let (store, writer) = (test_db.open().await, test_db.open().await);
    let mut session = insert_and_read_twice(&store).await;
    let (id, answered) = (session.id.clone(), Arc::new(AtomicU64::new(0)));
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let (store, id, answered) = (store.clone(), id.clone(), answered.clone());
            tokio::spawn(async move {
                let mut reads = 0;
                loop {
                    let before = answered.load(Ordering::SeqCst);
                    let found = find(&store, &scope(), &id).await.expect("it is there");
                    assert!(found.version.0 >= before, "{} before {before}", found.version.0);
                    reads += 1;
                    tokio::task::yield_now().await; // a look-up need not wait for anything
                    if before == WRITES {
                        return reads;
                    }
                }
            })
        })
        .collect();
    let environment = TestEnvironment::new();
    for version in 1..=WRITES {
        let (next, expected_version, events) =
            commit_parts(session.created(), scope().actor(), &*environment);
        let written =
            update_session(&writer, &scope(), &next, expected_version, &events, None).await;
        assert_eq!(written.expect("update"), Ok(Written::Done));
        assert_eq!(next.version, Version(version));
        answered.store(version, Ordering::SeqCst);
        session = next;
    }
    for reader in readers {
        assert!(reader.await.expect("no stale read") > 0);
    }
}

on_both!(
    change_of_another_process_is_read_at_once,
    cached_session_is_hidden_from_other_scopes,
    concurrent_lookups_keep_their_scopes,
    acknowledged_write_is_visible_to_every_read,
);
