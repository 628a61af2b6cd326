//! A database that is away: the answer is "unavailable", in time, and it passes by itself.

use std::time::Duration;

use diesel::{Connection, connection::SimpleConnection};
use domain::{
    Caller, Capability, OrganizationId, Scope, Session, SessionId, Settings,
    ports::{PortError, PortResult, SessionStore},
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
        tokio::spawn(async move { store.find(&scope(), &SessionId::mint(1)).await })
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
    assert_unavailable(store.find(&scope(), &SessionId::mint(1))).await;
    assert_unavailable(store.ping()).await;
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
            assert_unavailable(store.find(&scope(), &SessionId::mint(1))).await;
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
