//! Tests: an unavailable database is reported in time, and its return fails no request.

use std::time::Duration;

use diesel::{Connection, connection::SimpleConnection};
use domain::{
    Caller, Capability, OrganizationId, Scope, Session, SessionId, Settings, Timestamp,
    ports::{PortError, PortResult, SessionFilter, SessionPage, SessionStore},
    testing::{TestEnvironment, commit_parts, insert_session, update_session},
};
use store_diesel::{Config, Database, StoreError};

use crate::{
    both_databases::done,
    proxy::{Mode, Proxy},
    test_database::TestDatabase,
};

/// Maximum time until a caller gets an answer.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) fn scope() -> Scope {
    let acme = OrganizationId::parse("acme").expect("a name");
    Caller::operator(acme).may(Capability::Manage).expect("may manage")
}

async fn assert_unavailable<T: std::fmt::Debug>(answer: impl Future<Output = PortResult<T>>) {
    let answer = tokio::time::timeout(PATIENCE, answer).await.expect("an answer in time");
    assert!(matches!(answer, Err(PortError::Unavailable(_))), "{answer:?}");
}

/// Asserts that ten concurrent requests succeed.
async fn assert_all_served(store: &Database) {
    let requests = (0..10).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.find(&scope(), &SessionId::from_bits(1)).await })
    });
    for request in requests.collect::<Vec<_>>() {
        assert_eq!(request.await.expect("no panic").expect("served"), None);
    }
}

async fn behind(test_db: &TestDatabase) -> (Proxy, Database) {
    let proxy = Proxy::new(test_db.port(), None).await;
    let url = test_db.url_at("127.0.0.1", proxy.port, "sslmode=disable");
    let store = Database::connect(&Config::new(url)).await.expect("the database opens");
    (proxy, store)
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_server_is_unavailable_in_time_and_its_return_fails_no_request() {
    let Some(test_db) = TestDatabase::postgres().await else { return };
    let (proxy, store) = behind(&test_db).await;
    assert_all_served(&store).await;
    proxy.set(Mode::Down);
    assert_unavailable(store.find(&scope(), &SessionId::from_bits(1))).await;
    assert_unavailable(store.ping(Timestamp::from_millis(1))).await;
    proxy.set(Mode::Open);
    assert_all_served(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_server_is_unavailable_in_time_and_its_return_fails_no_request() {
    let Some(test_db) = TestDatabase::postgres().await else { return };
    let (proxy, store) = behind(&test_db).await;
    assert_all_served(&store).await;
    proxy.set(Mode::Silent);
    // More requests than connections: waiting requests also give up in time.
    let waiting = (0..15).map(|_| {
        let store = store.clone();
        tokio::spawn(async move {
            assert_unavailable(store.find(&scope(), &SessionId::from_bits(1))).await;
        })
    });
    for request in waiting.collect::<Vec<_>>() {
        request.await.expect("unavailable in time");
    }
    proxy.set(Mode::Open);
    assert_all_served(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_ended_by_the_server_fail_no_request() {
    let Some(test_db) = TestDatabase::postgres().await else { return };
    let store = test_db.open().await;
    assert_all_served(&store).await;
    test_db
        .administer(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{}'",
        )
        .await;
    assert_all_served(&store).await;
}

/// Inserts a session of organization `acme`.
async fn stored(store: &Database) -> Session {
    let acme = scope().organization().clone();
    let session = Session::new(acme, None, Settings::default(), &*TestEnvironment::new());
    done(insert_session(store, &scope(), &session, &[], None).await);
    session
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_and_lock_blocked_statements_are_unavailable() {
    let Some(test_db) = TestDatabase::postgres().await else { return };
    drop(test_db.open().await);
    for limit in ["lock_timeout", "statement_timeout"] {
        // Set at the server, not by the URL, as an operator would.
        test_db.administer(&format!("ALTER DATABASE {{}} SET {limit} = '200ms'")).await;
        let own = format!("options=-c%20{limit}%3D200");
        let config = Config::new(test_db.url_at("127.0.0.1", test_db.port(), &own));
        let store = Database::connect(&config).await.expect("it opens");
        let session = stored(&store).await;
        let other = test_db.client().await;
        let lock = "BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE";
        other.batch_execute(&format!("SET {limit} = 0; {lock}")).await.expect("locked");
        assert_unavailable(store.find(&scope(), &session.id)).await;
        let page = SessionPage { filter: SessionFilter::default(), after: None, limit: 9 };
        assert_unavailable(store.list(&scope(), &page)).await;
        let (next, expected_version, _) =
            commit_parts(session.clone().created(), scope().actor(), &*TestEnvironment::new());
        let acme = scope();
        let updates =
            (0..3).map(|_| update_session(&store, &acme, &next, expected_version, &[], None));
        for update in futures_util::future::join_all(updates).await {
            assert!(matches!(update, Err(PortError::Unavailable(_))), "{limit}: {update:?}");
        }
        other.batch_execute("ROLLBACK").await.expect("unlocked");
        assert_eq!(store.find(&scope(), &session.id).await.expect("served"), Some(session));
        test_db.execute("DELETE FROM sessions").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_to_a_read_only_server_are_replaced() {
    let Some(test_db) = TestDatabase::postgres().await else { return };
    let any = test_db.url_at("127.0.0.1", test_db.port(), "target_session_attrs=any");
    let store = Database::connect(&Config::new(any)).await.expect("it opens");
    // As after a switchover: existing connections lead to a standby, and new ones to the new
    // primary.
    test_db.administer("ALTER DATABASE {} SET default_transaction_read_only = on").await;
    let refused = Database::connect(&Config::new(test_db.url())).await.expect_err("no writes");
    let StoreError::Unavailable(cause) = refused else { panic!("{refused:?}") };
    assert!(cause.to_string().contains("does not allow writes"), "{cause}");
    test_db
        .administer(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{}'",
        )
        .await;
    assert_all_served(&store).await;
    // Uses a pooled connection too.
    let page = SessionPage { filter: SessionFilter::default(), after: None, limit: 9 };
    store.list(&scope(), &page).await.expect("read");
    test_db.administer("ALTER DATABASE {} RESET default_transaction_read_only").await;

    assert_unavailable(store.ping(Timestamp::from_millis(1))).await;
    store.ping(Timestamp::from_millis(2)).await.expect("by a new connection");
    let now = "SELECT clock_timestamp()";
    let reset = test_db.client().await.query_one(now, &[]).await.expect("a time");
    stored(&store).await;
    assert_all_served(&store).await;
    // Lookups write nothing and get no such error; their connections are replaced all the same.
    let read_only = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND backend_start < $1 AND query_start > $1";
    let since: std::time::SystemTime = reset.get(0);
    let left = test_db.client().await.query_one(read_only, &[&since]).await.expect("counted");
    assert_eq!(left.get::<_, i64>(0), 0, "no connection from before is used");
}

#[tokio::test(flavor = "multi_thread")]
async fn ping_fails_on_a_file_that_accepts_no_writes() {
    let test_db = TestDatabase::sqlite();
    let store = test_db.open().await;
    store.ping(Timestamp::from_millis(1)).await.expect("it takes writes");
    let mut other = diesel::SqliteConnection::establish(&test_db.file().display().to_string())
        .expect("the file opens twice");
    other.batch_execute("BEGIN IMMEDIATE").expect("the lock is free");
    assert_unavailable(store.ping(Timestamp::from_millis(2))).await;
    other.batch_execute("ROLLBACK").expect("it ends");
    store.ping(Timestamp::from_millis(3)).await.expect("it takes writes again");
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_connection_is_named_as_the_cause() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("its address").port();
    drop(listener);
    let url = format!("postgres://berth:hunter2@127.0.0.1:{port}/berth");
    let config = Config::new(url);
    let opening = Database::connect(&config);
    let error = tokio::time::timeout(PATIENCE, opening).await.expect("in time").unwrap_err();
    let StoreError::Unavailable(cause) = error else { panic!("{error:?}") };
    assert!(cause.to_string().contains("refused"), "{cause}");
    assert!(!format!("{cause:?}").contains("hunter2"), "{cause:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn file_locked_by_another_process_is_readable_and_unavailable_for_writes() {
    let test_db = TestDatabase::sqlite();
    let store = test_db.open().await;
    let environment = TestEnvironment::new();
    let acme = scope().organization().clone();
    let session = Session::new(acme, None, Settings::default(), &*environment);
    let mut other = diesel::SqliteConnection::establish(&test_db.file().display().to_string())
        .expect("the file opens twice");
    other.batch_execute("BEGIN IMMEDIATE").expect("the lock is free");
    assert_unavailable(insert_session(&store, &scope(), &session, &[], None)).await;
    assert_all_served(&store).await;
    other.batch_execute("ROLLBACK").expect("it ends");
    // The lock is free again.
    done(insert_session(&store, &scope(), &session, &[], None).await);
    let found = store.find(&scope(), &session.id).await.expect("served");
    assert_eq!(found, Some(session));
}
