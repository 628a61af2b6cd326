//! Tests: concurrent writes may share a batch, and each has the result of a write on its own.

use std::time::Duration;

use domain::{
    EventId, Session, Settings, Timestamp,
    ports::{
        Claim, CommitOutcome, Environment as _, PortError, PortResult, SessionStore, WorkerStore,
        Written,
    },
    testing::{
        TestEnvironment, cleanup_of, commit_parts,
        contract::{filled, stored_events},
        delete_session, insert_session, update_by_system,
    },
};
use store_diesel::Database;
use tokio::{task::JoinHandle, time::timeout};

use crate::{
    both_databases::{done, on_both},
    outage::scope,
    test_database::TestDatabase,
};

const ALL: usize = 60;
const PATIENCE: Duration = Duration::from_secs(20);

fn new(environment: &TestEnvironment) -> Session {
    Session::new(scope().organization().clone(), None, Settings::default(), environment)
}

/// Inserts a session with its event.
fn insert(
    store: &Database,
    environment: &TestEnvironment,
    session: Session,
) -> JoinHandle<PortResult<CommitOutcome>> {
    insert_with(store, environment, session, None)
}

/// Inserts a session with its event, which has this id.
fn insert_with(
    store: &Database,
    environment: &TestEnvironment,
    session: Session,
    event: Option<EventId>,
) -> JoinHandle<PortResult<CommitOutcome>> {
    let (made, _, mut events) = commit_parts(session.created(), scope().actor(), environment);
    if let Some(id) = event {
        events[0].id = id;
    }
    let store = store.clone();
    tokio::spawn(async move { insert_session(&store, &scope(), &made, &events, None).await })
}

/// Moves the due time, as the reconciler does.
fn update(store: &Database, session: &Session) -> JoinHandle<PortResult<CommitOutcome>> {
    let next = Session { due: Some(Timestamp::from_millis(7)), ..session.clone() };
    let (store, expected_version) = (store.clone(), session.expected_version());
    tokio::spawn(
        async move { update_by_system(&store, &next, expected_version, &[]).await.map(Ok) },
    )
}

async fn answer(task: JoinHandle<PortResult<CommitOutcome>>) -> PortResult<CommitOutcome> {
    timeout(PATIENCE, task).await.expect("an answer in time").expect("no panic")
}

async fn insert_many(store: &Database, environment: &TestEnvironment) -> Vec<Session> {
    let sessions: Vec<_> = (0..ALL).map(|_| new(environment)).collect();
    for session in &sessions {
        done(insert_session(store, &scope(), session, &[], None).await);
    }
    sessions
}

async fn failed_write_does_not_fail_its_batch(test_db: TestDatabase) {
    let environment = TestEnvironment::new();
    let store = test_db.open().await;
    let (taken, other) = (new(&environment), new(&environment));
    done(insert_session(&store, &scope(), &taken, &[], None).await);
    done(answer(insert(&store, &environment, other)).await);
    let stored = stored_events(&store, &scope()).await.remove(0).id;
    for _ in 0..5 {
        let mut sessions: Vec<_> = (0..ALL).map(|_| new(&environment)).collect();
        sessions[ALL / 2] = taken.clone();
        let inserted = sessions.iter().enumerate().map(|(n, session)| {
            let event = (n == ALL / 3).then(|| stored.clone());
            insert_with(&store, &environment, session.clone(), event)
        });
        for (n, task) in inserted.collect::<Vec<_>>().into_iter().enumerate() {
            let written = answer(task).await;
            if n == ALL / 2 {
                assert_eq!(written.expect("an answer"), Ok(Written::Raced));
            } else if n == ALL / 3 {
                assert!(matches!(written, Err(PortError::Broken(_))), "{written:?}");
            } else {
                done(written);
            }
        }
        let events = stored_events(&store, &scope()).await;
        for (n, session) in sessions.iter().enumerate() {
            let own = events.iter().filter(|event| event.session.as_ref() == Some(&session.id));
            let written = n != ALL / 2 && n != ALL / 3;
            assert_eq!(own.count(), usize::from(written), "each event once");
        }
    }
}

async fn batches_of_two_stores_do_not_deadlock(test_db: TestDatabase) {
    let environment = TestEnvironment::new();
    let stores = [test_db.open().await, test_db.open().await];
    let sessions = insert_many(&stores[0], &environment).await;
    let there: Vec<_> = sessions.iter().map(|session| update(&stores[0], session)).collect();
    // In reverse order.
    let back = sessions.iter().rev().map(|session| update(&stores[1], session));
    let mut back: Vec<_> = back.collect();
    back.reverse();
    for (one, other) in there.into_iter().zip(back) {
        let both = [answer(one).await, answer(other).await].map(|written| written.expect("an end"));
        assert!(
            both.contains(&Ok(Written::Done)) && both.contains(&Ok(Written::Raced)),
            "{both:?}"
        );
    }
}

async fn batched_sessions_round_trip(test_db: TestDatabase) {
    let environment = TestEnvironment::new();
    let store = test_db.open().await;
    let sessions: Vec<_> = (0..ALL).map(|_| filled(new(&environment), &*environment)).collect();
    let inserted = sessions.iter().map(|session| insert(&store, &environment, session.clone()));
    for task in inserted.collect::<Vec<_>>() {
        done(answer(task).await);
    }
    let found = found(&store, &sessions).await;
    for (session, found) in sessions.iter().zip(&found) {
        let written = Session { version: found.version, ..session.clone() };
        let written = Session { sequence: found.sequence, updated_at: found.updated_at, ..written };
        assert_eq!(*found, written);
    }
    let updates: Vec<_> = found.iter().map(|session| update(&store, session)).collect();
    for task in updates {
        done(answer(task).await);
    }
    let deletions = found.iter().map(|session| {
        let cleanup = cleanup_of(session, &scope(), environment.now());
        let (store, version) = (store.clone(), session.version);
        tokio::spawn(async move { delete_session(&store, &scope(), version, &cleanup, &[]).await })
    });
    for task in deletions.collect::<Vec<_>>() {
        done(answer(task).await);
    }
    let now = environment.now();
    let left = store.claim_cleanups(&Claim::new(now, now, 1000)).await.expect("retirements");
    assert_eq!(left.len(), ALL);
    for session in &sessions {
        assert_eq!(SessionStore::find(&store, &scope(), &session.id).await.expect("find"), None);
    }
}

async fn found(store: &Database, sessions: &[Session]) -> Vec<Session> {
    let mut found = Vec::new();
    for session in sessions {
        let one = SessionStore::find(store, &scope(), &session.id).await.expect("find");
        found.push(one.expect("it is there"));
    }
    found
}

on_both!(
    batched_sessions_round_trip,
    failed_write_does_not_fail_its_batch,
    batches_of_two_stores_do_not_deadlock,
);

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_inserts_share_transactions() {
    let Some(test_db) = TestDatabase::postgres().await else { return };
    let (store, environment) = (test_db.open().await, TestEnvironment::new());
    // The first insert opens a connection, and the others arrive meanwhile.
    let inserted = (0..ALL).map(|_| insert(&store, &environment, new(&environment)));
    for task in inserted.collect::<Vec<_>>() {
        done(answer(task).await);
    }
    let client = test_db.client().await;
    let query = "SELECT count(*), count(DISTINCT xmin::text) FROM sessions";
    let counted = client.query_one(query, &[]).await.expect("an answer");
    let (rows, transactions): (i64, i64) = (counted.get(0), counted.get(1));
    assert_eq!(rows, i64::try_from(ALL).expect("few"));
    assert!(transactions < rows / 2, "{rows} rows by {transactions} transactions");
}

#[tokio::test(flavor = "multi_thread")]
async fn locked_row_does_not_delay_other_writes() {
    let Some(test_db) = TestDatabase::postgres().await else { return };
    let (store, environment) = (test_db.open().await, TestEnvironment::new());
    let sessions = insert_many(&store, &environment).await;
    let client = test_db.client().await;
    let lock = format!("BEGIN; SELECT FROM sessions WHERE id = '{}' FOR UPDATE", sessions[0].id);
    client.batch_execute(&lock).await.expect("locked");
    let mut updates = sessions.iter().map(|session| update(&store, session)).collect::<Vec<_>>();
    let locked = updates.remove(0);
    for task in updates {
        done(answer(task).await);
    }
    assert!(!locked.is_finished(), "the row is locked");
    client.batch_execute("COMMIT").await.expect("unlocked");
    done(answer(locked).await);
}
