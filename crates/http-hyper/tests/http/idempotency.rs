//! `Idempotency-Key`: a repeated request gets the first response and has no second effect.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use domain::testing::{TestPause, World};
use http_hyper::{
    Limits,
    api::{IdempotencyMode, Operation, operations},
};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::{
    client::{BOTH, ReceivedResponse, Version, ask, send},
    fake_reconciler::FakeReconciler,
    operation_calls::{body, missing, path, ready_for},
    test_server::{TestServer, another_router, listen},
};

const SESSIONS: &str = "/api/v1/sessions";
const KEYS: &str = "/api/v1/api-keys";

/// Sends a POST with an idempotency key.
async fn post(
    server: &TestServer,
    caller: &str,
    name: &str,
    path: &str,
    body: Option<&Value>,
) -> ReceivedResponse {
    send_to(server.address, Version::One, caller, name, path, body).await
}

async fn send_to(
    to: std::net::SocketAddr,
    version: Version,
    caller: &str,
    name: &str,
    path: &str,
    body: Option<&Value>,
) -> ReceivedResponse {
    let mut request = ask("POST", path)
        .header("authorization", format!("Bearer {caller}"))
        .header("idempotency-key", name);
    if body.is_some() {
        request = request.header("content-type", "application/json");
    }
    let body = body.map_or_else(Bytes::new, |body| body.to_string().into());
    send(to, version, request, body).await
}

/// Checks that the second response is a replay of the first.
fn assert_replayed(again: &ReceivedResponse, first: &ReceivedResponse) {
    assert_eq!(again.header("idempotency-replayed"), "true", "{again:?}");
    assert_eq!(first.header("idempotency-replayed"), "", "{first:?}");
    let mut plain = again.clone();
    plain.headers.remove("idempotency-replayed");
    assert_eq!(plain.comparable(), first.comparable());
    again.assert_well_formed("a replay");
}

fn posts() -> impl Iterator<Item = &'static Operation> {
    let is_recorded = |row: &&Operation| row.idempotency == IdempotencyMode::Recorded;
    operations().filter(|row| row.takes_idempotency_key()).filter(is_recorded)
}

#[tokio::test]
async fn repeated_post_is_replayed_without_effect() {
    for row in posts() {
        let server = TestServer::open().await;
        let at = path(row, &ready_for(&server, row).await);
        let first = post(&server, "acme", "one", &at, body(row).as_ref()).await;
        assert!(first.status.is_success(), "{row:?}: {first:?}");
        let before = server.fingerprint();
        for version in BOTH {
            let body = body(row);
            let again = send_to(server.address, version, "acme", "one", &at, body.as_ref()).await;
            assert_replayed(&again, &first);
        }
        assert_eq!(server.fingerprint(), before, "{row:?} was done again");
        let other = post(&server, "acme", "two", &at, body(row).as_ref()).await;
        assert_eq!(other.header("idempotency-replayed"), "", "{row:?}");
    }
}

#[tokio::test]
async fn recorded_refusal_reveals_no_more_than_the_first() {
    for row in posts().filter(|row| row.path.contains('{')) {
        let server = TestServer::open().await;
        let hidden = ready_for(&server, row).await;
        let mut outcomes = Vec::new();
        for (n, id) in [hidden].iter().chain(&missing(&server, row).await).enumerate() {
            let (name, at) = (format!("k-{n}"), path(row, id));
            let first = post(&server, "zeta", &name, &at, body(row).as_ref()).await;
            assert_eq!(first.status, 404, "{row:?}");
            let again = post(&server, "zeta", &name, &at, body(row).as_ref()).await;
            assert_replayed(&again, &first);
            outcomes.push((first.comparable(), again.comparable()));
        }
        assert!(outcomes.iter().all(|both| *both == outcomes[0]), "{row:?}: {outcomes:?}");
    }
}

#[tokio::test]
async fn final_refusal_is_replayed() {
    let server = TestServer::open().await;
    let session = server.pairing().await;
    let start = format!("{SESSIONS}/{}:start", session.id);
    let first = post(&server, "acme", "k", &start, None).await;
    assert_eq!((first.status.as_u16(), first.code().as_str()), (409, "conflict"));
    server
        .world
        .gateway
        .scan(&server.find(&session.id).await.observed.pairing.unwrap().qr.unwrap().text);
    server.reconciler.round().await;
    assert!(server.find(&session.id).await.is_paired());
    assert_replayed(&post(&server, "acme", "k", &start, None).await, &first);
    assert_eq!(post(&server, "acme", "k2", &start, None).await.status, 200);
    let bad = json!({ "label": 7 });
    let first = post(&server, "acme", "bad", SESSIONS, Some(&bad)).await;
    assert_eq!(first.status, 400);
    assert_replayed(&post(&server, "acme", "bad", SESSIONS, Some(&bad)).await, &first);
}

#[tokio::test]
async fn idempotency_key_of_another_request_is_a_conflict() {
    let server = TestServer::open().await;
    let first = post(&server, "acme", "k", SESSIONS, Some(&json!({ "label": "a" }))).await;
    assert_eq!(first.status, 201);
    let id = first.json()["id"].as_str().unwrap().to_owned();
    let before = server.fingerprint();
    let spaced = ask("POST", SESSIONS)
        .header("authorization", "Bearer acme")
        .header("content-type", "application/json")
        .header("idempotency-key", "k");
    for clash in [
        post(&server, "acme", "k", SESSIONS, Some(&json!({ "label": "b" }))).await,
        post(&server, "acme", "k", SESSIONS, None).await,
        send(server.address, Version::Two, spaced, r#"{"label": "a"}"#).await,
    ] {
        assert_eq!((clash.status.as_u16(), clash.code().as_str()), (409, "conflict"));
        assert_eq!(clash.header("retry-after"), "", "it will not pass");
        assert_eq!(clash.header("idempotency-replayed"), "");
    }
    assert_eq!(server.fingerprint(), before);
    // The verb is part of the route, and the session part of the request.
    let stop = |id: &str| format!("{SESSIONS}/{id}:stop");
    assert_eq!(post(&server, "acme", "k", &stop(&id), None).await.status, 200);
    let other = server.world.acme_session().await.id;
    assert_eq!(post(&server, "acme", "k", &stop(other.as_str()), None).await.status, 409);
}

#[tokio::test]
async fn idempotency_key_belongs_to_its_organization_and_credential() {
    let server = TestServer::open().await;
    let body = json!({ "label": "mine" });
    let mut ids = Vec::new();
    for caller in ["acme", "manager", "zeta"] {
        let first = post(&server, caller, "k", SESSIONS, Some(&body)).await;
        assert_eq!((first.status.as_u16(), first.header("idempotency-replayed")), (201, ""));
        assert_replayed(&post(&server, caller, "k", SESSIONS, Some(&body)).await, &first);
        ids.push(first.json()["id"].as_str().unwrap().to_owned());
    }
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

#[tokio::test]
async fn new_key_is_replayed_to_its_caller_and_stored_encrypted() {
    let server = TestServer::open().await;
    let body = json!({ "name": "shop", "capabilities": ["read"] });
    let first = post(&server, "acme", "8e03978e", KEYS, Some(&body)).await;
    let text = first.json()["key"].as_str().unwrap().to_owned();
    let again = post(&server, "acme", "8e03978e", KEYS, Some(&body)).await;
    assert_replayed(&again, &first);
    assert_eq!(again.json()["key"], text.as_str());
    let scope = World::acme().may(domain::Capability::Manage).unwrap();
    let kept = server.world.memory.idempotency_records();
    assert_eq!(kept.len(), 1);
    let secret = text.rsplit('_').next().unwrap().as_bytes();
    for (organization, receipt) in kept {
        assert_eq!(&organization, scope.organization());
        assert!(!receipt.response.windows(secret.len()).any(|part| part == secret));
    }
}

#[tokio::test]
async fn idempotency_record_expires_after_a_day() {
    let server = TestServer::open().await;
    let first = post(&server, "acme", "k", SESSIONS, None).await;
    server.world.environment.advance(Duration::from_secs(24 * 60 * 60 - 1));
    assert_replayed(&post(&server, "acme", "k", SESSIONS, None).await, &first);
    server.world.environment.advance(Duration::from_secs(2));
    let later = post(&server, "acme", "k", SESSIONS, None).await;
    assert_eq!((later.status.as_u16(), later.header("idempotency-replayed")), (201, ""));
    assert_ne!(later.json()["id"], first.json()["id"]);
}

#[tokio::test]
async fn malformed_idempotency_key_is_reported_with_the_other_faults() {
    let server = TestServer::open().await;
    let before = server.fingerprint();
    let request = ask("POST", SESSIONS)
        .header("authorization", "Bearer acme")
        .header("content-type", "application/json")
        .header("idempotency-key", "a b");
    let answer = send(server.address, Version::One, request, r#"{"label":7}"#).await;
    assert_eq!((answer.status.as_u16(), answer.faults().len()), (400, 2));
    assert!(answer.faults().contains(&"Idempotency-Key".to_owned()), "{answer:?}");
    assert_eq!(server.fingerprint(), before);
}

#[tokio::test]
async fn get_and_delete_ignore_the_idempotency_key() {
    let server = TestServer::open().await;
    let id = server.linked().await.id;
    let at = format!("{SESSIONS}/{id}");
    for (method, status) in [("GET", 200), ("GET", 200), ("DELETE", 204), ("DELETE", 404)] {
        let request = ask(method, &at)
            .header("authorization", "Bearer acme")
            .header("idempotency-key", "two words");
        let answer = send(server.address, Version::One, request, "").await;
        assert_eq!(answer.status.as_u16(), status);
        assert_eq!(answer.header("idempotency-replayed"), "");
    }
    assert!(server.world.memory.idempotency_records().is_empty());
}

#[tokio::test]
async fn missing_permission_is_403_before_any_lookup() {
    let server = TestServer::open().await;
    let before = server.fingerprint();
    for (caller, status) in [("garbage", 401), ("member", 403), ("nowhere", 403), ("down", 503)] {
        for _ in 0..2 {
            let answer = post(&server, caller, "k", SESSIONS, None).await;
            assert_eq!(
                (answer.status.as_u16(), answer.header("idempotency-replayed")),
                (status, "")
            );
        }
    }
    assert_eq!(server.fingerprint(), before);
}

#[tokio::test]
async fn unavailable_record_store_blocks_the_request() {
    let server = TestServer::open().await;
    server.world.memory.set_down(true);
    let away = post(&server, "acme", "k", SESSIONS, None).await;
    assert_eq!((away.status.as_u16(), away.code().as_str()), (503, "unavailable"));
    server.world.memory.set_down(false);
    let first = post(&server, "acme", "k", SESSIONS, None).await;
    assert_eq!((first.status.as_u16(), first.header("idempotency-replayed")), (201, ""));
}

/// A pause that lasts until the test ends it.
#[derive(Clone)]
struct Stile {
    reconciler: FakeReconciler,
    arrived: Arc<Semaphore>,
    go: Arc<Semaphore>,
}

impl Stile {
    fn before(reconciler: &FakeReconciler) -> Self {
        let none = || Arc::new(Semaphore::new(0));
        Self { reconciler: reconciler.clone(), arrived: none(), go: none() }
    }
}

#[async_trait]
impl TestPause for Stile {
    async fn pause(&self, duration: Duration) {
        self.arrived.add_permits(1);
        self.go.acquire().await.unwrap().forget();
        self.reconciler.pause(duration).await;
    }
}

#[tokio::test]
async fn concurrent_repeat_is_a_conflict() {
    let stile = Arc::new(std::sync::OnceLock::new());
    let made = stile.clone();
    let server = TestServer::build(Limits::default(), move |reconciler| {
        Arc::new(made.get_or_init(|| Stile::before(reconciler)).clone())
    })
    .await;
    let stile = stile.get().unwrap();
    stile.go.add_permits(1000);
    let id = server.linked().await.id;
    stile.go.forget_permits(1000);
    stile.arrived.forget_permits(1000);

    let logout = format!("{SESSIONS}/{id}:logout");
    let (address, at) = (server.address, logout.clone());
    let waiting =
        tokio::spawn(async move { send_to(address, Version::One, "acme", "k", &at, None).await });
    stile.arrived.acquire().await.unwrap().forget();
    for version in BOTH {
        let busy = send_to(server.address, version, "acme", "k", &logout, None).await;
        assert_eq!((busy.status.as_u16(), busy.code().as_str()), (409, "conflict"));
        assert_eq!(busy.header("retry-after"), "1");
    }
    stile.go.add_permits(1000);
    let first = waiting.await.unwrap();
    assert_eq!((first.status.as_u16(), first.json()["phoneNumber"].clone()), (200, Value::Null));
    // The record contains the final response, not the one at the commit.
    assert_replayed(&post(&server, "acme", "k", &logout, None).await, &first);
}

#[tokio::test]
async fn concurrent_repeats_on_two_routers_have_one_effect_and_one_response() {
    let server = TestServer::open().await;
    let other = another_router(&server.world, &server.authenticator, &server.checks);
    let (other, _stop, _served) = listen(other.public(Limits::default())).await;
    let body = json!({ "label": "once" });
    let requests: Vec<_> = (0..100)
        .map(|n| {
            let to = if n % 2 == 0 { server.address } else { other };
            let body = body.clone();
            tokio::spawn(async move {
                send_to(to, Version::One, "acme", "k", SESSIONS, Some(&body)).await
            })
        })
        .collect();
    let mut ids = Vec::new();
    for request in requests {
        let answer = request.await.unwrap();
        match answer.status.as_u16() {
            201 => ids.push(answer.json()["id"].as_str().unwrap().to_owned()),
            409 => assert_eq!(answer.header("retry-after"), "1"),
            other => panic!("{other}"),
        }
    }
    let last = send_to(other, Version::Two, "acme", "k", SESSIONS, Some(&body)).await;
    assert_eq!(last.header("idempotency-replayed"), "true");
    ids.push(last.json()["id"].as_str().unwrap().to_owned());
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 1, "one session, whoever was asked");
    let listed = server.ask("acme", "GET", SESSIONS).await.json();
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
}
