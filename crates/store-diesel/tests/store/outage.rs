//! A database that is away: the answer is "unavailable", in time, and it passes by itself.

use std::time::Duration;

use diesel::{Connection, connection::SimpleConnection};
use domain::{
    Caller, Capability, OrganizationId, Scope, Session, SessionId, Settings, Timestamp,
    ports::{PortError, PortResult, SessionFilter, SessionPage, SessionStore},
    testing::TestEnvironment,
};
use store_diesel::{Config, Database, StoreError};

use crate::{
    claims::done,
    place::Place,
    proxy::{Mode, Proxy},
};

/// What a caller is promised.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) fn scope() -> Scope {
    let acme = OrganizationId::parse("acme").expect("a name");
    Caller::operator(acme).may(Capability::Manage).expect("may manage")
}

async fn assert_unavailable<T: std::fmt::Debug>(answer: impl Future<Output = PortResult<T>>) {
    let answer = tokio::time::timeout(PATIENCE, answer).await.expect("an answer in time");
    assert!(matches!(answer, Err(PortError::Unavailable(_))), "{answer:?}");
}

/// Ten requests at once, each of which must succeed.
async fn assert_all_served(store: &Database) {
    let requests = (0..10).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.find(&scope(), &SessionId::from_bits(1)).await })
    });
    for request in requests.collect::<Vec<_>>() {
        assert_eq!(request.await.expect("no panic").expect("served"), None);
    }
}

async fn behind(place: &Place) -> (Proxy, Database) {
    let proxy = Proxy::new(place.port(), None).await;
    let url = place.url_at("127.0.0.1", proxy.port, "sslmode=disable");
    let store = Database::connect(&Config::new(url)).await.expect("the database opens");
    (proxy, store)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_server_is_unavailable_in_time_and_its_return_costs_no_request() {
    let place = Place::postgres().await;
    let (proxy, store) = behind(&place).await;
    assert_all_served(&store).await;
    proxy.set(Mode::Down);
    assert_unavailable(store.find(&scope(), &SessionId::from_bits(1))).await;
    assert_unavailable(store.ping(Timestamp::from_millis(1))).await;
    proxy.set(Mode::Open);
    assert_all_served(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_is_unavailable_in_time_and_its_return_costs_no_request() {
    let place = Place::postgres().await;
    let (proxy, store) = behind(&place).await;
    assert_all_served(&store).await;
    proxy.set(Mode::Silent);
    // More than there are connections: those that wait for one give up in time as well.
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
async fn connections_that_the_server_ended_meanwhile_cost_no_request() {
    let place = Place::postgres().await;
    let store = place.open().await;
    assert_all_served(&store).await;
    place
        .administer(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{}'",
        )
        .await;
    assert_all_served(&store).await;
}

/// A session of the organization that the tests are about, in the store.
async fn stored(store: &Database) -> Session {
    let acme = scope().organization().clone();
    let session = Session::new(acme, None, Settings::default(), &*TestEnvironment::new());
    done(store.insert(&scope(), &session, &[], None).await);
    session
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_cancels_or_cannot_lock_is_unavailable() {
    let place = Place::postgres().await;
    drop(place.open().await);
    for limit in ["lock_timeout", "statement_timeout"] {
        // Not by the URL: by what an operator set at the server.
        place.administer(&format!("ALTER DATABASE {{}} SET {limit} = '200ms'")).await;
        let own = format!("options=-c%20{limit}%3D200");
        let config = Config::new(place.url_at("127.0.0.1", place.port(), &own));
        let store = Database::connect(&config).await.expect("it opens");
        let session = stored(&store).await;
        let other = place.client().await;
        let lock = "BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE";
        other.batch_execute(&format!("SET {limit} = 0; {lock}")).await.expect("locked");
        assert_unavailable(store.find(&scope(), &session.id)).await;
        let page = SessionPage { filter: SessionFilter::default(), after: None, limit: 9 };
        assert_unavailable(store.list(&scope(), &page)).await;
        let (next, expected_version, _) =
            session.clone().created().into_commit(scope().actor(), &*TestEnvironment::new());
        let acme = scope();
        let updates = (0..3).map(|_| store.update(&acme, &next, expected_version, &[], None));
        for update in futures_util::future::join_all(updates).await {
            assert!(matches!(update, Err(PortError::Unavailable(_))), "{limit}: {update:?}");
        }
        other.batch_execute("ROLLBACK").await.expect("unlocked");
        assert_eq!(store.find(&scope(), &session.id).await.expect("served"), Some(session));
        place.execute("DELETE FROM sessions").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_to_a_server_that_takes_no_writes_any_more_are_replaced() {
    let place = Place::postgres().await;
    let any = place.url_at("127.0.0.1", place.port(), "target_session_attrs=any");
    let store = Database::connect(&Config::new(any)).await.expect("it opens");
    // As after a switchover: whoever is connected now is connected to a standby, and who connects later
    // to the new primary.
    place.administer("ALTER DATABASE {} SET default_transaction_read_only = on").await;
    let refused = Database::connect(&Config::new(place.url())).await.expect_err("no writes");
    let StoreError::Unavailable(cause) = refused else { panic!("{refused:?}") };
    assert!(cause.to_string().contains("does not allow writes"), "{cause}");
    place
        .administer(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{}'",
        )
        .await;
    assert_all_served(&store).await;
    // By one of those that change things, too.
    let page = SessionPage { filter: SessionFilter::default(), after: None, limit: 9 };
    store.list(&scope(), &page).await.expect("read");
    place.administer("ALTER DATABASE {} RESET default_transaction_read_only").await;

    assert_unavailable(store.ping(Timestamp::from_millis(1))).await;
    store.ping(Timestamp::from_millis(2)).await.expect("by a new connection");
    let now = "SELECT clock_timestamp()";
    let reset = place.client().await.query_one(now, &[]).await.expect("a time");
    stored(&store).await;
    assert_all_served(&store).await;
    // Look-ups write nothing and so hear of nothing: their connections are replaced all the same.
    let read_only = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND backend_start < $1 AND query_start > $1";
    let since: std::time::SystemTime = reset.get(0);
    let left = place.client().await.query_one(read_only, &[&since]).await.expect("counted");
    assert_eq!(left.get::<_, i64>(0), 0, "no connection from before is used");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_takes_no_writes_is_told_by_a_ping() {
    let place = Place::sqlite();
    let store = place.open().await;
    store.ping(Timestamp::from_millis(1)).await.expect("it takes writes");
    let mut other = diesel::SqliteConnection::establish(&place.file().display().to_string())
        .expect("the file opens twice");
    other.batch_execute("BEGIN IMMEDIATE").expect("the lock is free");
    assert_unavailable(store.ping(Timestamp::from_millis(2))).await;
    other.batch_execute("ROLLBACK").expect("it ends");
    store.ping(Timestamp::from_millis(3)).await.expect("it takes writes again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_named_as_the_cause() {
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
async fn a_file_that_another_process_holds_is_unavailable_for_writing_and_can_be_read() {
    let place = Place::sqlite();
    let store = place.open().await;
    let environment = TestEnvironment::new();
    let acme = scope().organization().clone();
    let session = Session::new(acme, None, Settings::default(), &*environment);
    let mut other = diesel::SqliteConnection::establish(&place.file().display().to_string())
        .expect("the file opens twice");
    other.batch_execute("BEGIN IMMEDIATE").expect("the lock is free");
    assert_unavailable(store.insert(&scope(), &session, &[], None)).await;
    assert_all_served(&store).await;
    other.batch_execute("ROLLBACK").expect("it ends");
    // The lock is free again.
    done(store.insert(&scope(), &session, &[], None).await);
    let found = store.find(&scope(), &session.id).await.expect("served");
    assert_eq!(found, Some(session));
}
