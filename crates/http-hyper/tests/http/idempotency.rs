//! `Idempotency-Key`: what is asked again is answered as the first time, and done once.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use domain::{ports::Notifier, testing::World};
use http_hyper::{
    Limits,
    api::{Operation, operations},
};
use hyper::Method;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::{
    client::{Answer, BOTH, Version, ask, send},
    hand::Hand,
    house::{House, another_router, listen},
    walk::{body, missing, path, ready_for},
};

const SESSIONS: &str = "/api/v1/sessions";
const KEYS: &str = "/api/v1/api-keys";

/// A POST under a name of its caller's.
async fn post(house: &House, caller: &str, name: &str, path: &str, body: Option<&Value>) -> Answer {
    send_to(house.address, Version::One, caller, name, path, body).await
}

async fn send_to(
    to: std::net::SocketAddr,
    version: Version,
    caller: &str,
    name: &str,
    path: &str,
    body: Option<&Value>,
) -> Answer {
    let mut request = ask("POST", path)
        .header("authorization", format!("Bearer {caller}"))
        .header("idempotency-key", name);
    if body.is_some() {
        request = request.header("content-type", "application/json");
    }
    let body = body.map_or_else(Bytes::new, |body| body.to_string().into());
    send(to, version, request, body).await
}

/// The same answer, but that it says to be a replay.
fn assert_replayed(again: &Answer, first: &Answer) {
    assert_eq!(again.header("idempotency-replayed"), "true", "{again:?}");
    assert_eq!(first.header("idempotency-replayed"), "", "{first:?}");
    let mut plain = again.clone();
    plain.headers.remove("idempotency-replayed");
    assert_eq!(plain.comparable(), first.comparable());
    again.assert_well_formed("a replay");
}

fn posts() -> impl Iterator<Item = &'static Operation> {
    operations().filter(|row| row.method == Method::POST)
}

#[tokio::test]
async fn every_post_that_is_repeated_is_answered_and_not_carried_out_again() {
    for row in posts() {
        let house = House::open().await;
        let at = path(row, &ready_for(&house, row).await);
        let first = post(&house, "acme", "one", &at, body(row).as_ref()).await;
        assert!(first.status.is_success(), "{row:?}: {first:?}");
        let before = house.fingerprint();
        for version in BOTH {
            let body = body(row);
            let again = send_to(house.address, version, "acme", "one", &at, body.as_ref()).await;
            assert_replayed(&again, &first);
        }
        assert_eq!(house.fingerprint(), before, "{row:?} was done again");
        let other = post(&house, "acme", "two", &at, body(row).as_ref()).await;
        assert_eq!(other.header("idempotency-replayed"), "", "{row:?}");
    }
}

#[tokio::test]
async fn every_refusal_is_kept_and_hides_as_much_as_before() {
    for row in posts().filter(|row| row.path.contains('{')) {
        let house = House::open().await;
        let hidden = ready_for(&house, row).await;
        let mut told = Vec::new();
        for (n, id) in [hidden].iter().chain(&missing(&house, row).await).enumerate() {
            let (name, at) = (format!("k-{n}"), path(row, id));
            let first = post(&house, "zeta", &name, &at, body(row).as_ref()).await;
            assert_eq!(first.status, 404, "{row:?}");
            let again = post(&house, "zeta", &name, &at, body(row).as_ref()).await;
            assert_replayed(&again, &first);
            told.push((first.comparable(), again.comparable()));
        }
        assert!(told.iter().all(|both| *both == told[0]), "{row:?}: {told:?}");
    }
}

#[tokio::test]
async fn what_was_refused_for_good_stays_refused() {
    let house = House::open().await;
    let session = house.pairing().await;
    let start = format!("{SESSIONS}/{}:start", session.id);
    let first = post(&house, "acme", "k", &start, None).await;
    assert_eq!((first.status.as_u16(), first.code().as_str()), (409, "conflict"));
    house
        .world
        .gateway
        .scan(&house.find(&session.id).await.observed.pairing.unwrap().qr.unwrap().text);
    house.hand.round().await;
    assert!(house.find(&session.id).await.is_paired());
    assert_replayed(&post(&house, "acme", "k", &start, None).await, &first);
    assert_eq!(post(&house, "acme", "k2", &start, None).await.status, 200);
    let bad = json!({ "label": 7 });
    let first = post(&house, "acme", "bad", SESSIONS, Some(&bad)).await;
    assert_eq!(first.status, 400);
    assert_replayed(&post(&house, "acme", "bad", SESSIONS, Some(&bad)).await, &first);
}

#[tokio::test]
async fn one_name_for_two_requests_is_a_conflict() {
    let house = House::open().await;
    let first = post(&house, "acme", "k", SESSIONS, Some(&json!({ "label": "a" }))).await;
    assert_eq!(first.status, 201);
    let id = first.json()["id"].as_str().unwrap().to_owned();
    let before = house.fingerprint();
    let spaced = ask("POST", SESSIONS)
        .header("authorization", "Bearer acme")
        .header("content-type", "application/json")
        .header("idempotency-key", "k");
    for clash in [
        post(&house, "acme", "k", SESSIONS, Some(&json!({ "label": "b" }))).await,
        post(&house, "acme", "k", SESSIONS, None).await,
        send(house.address, Version::Two, spaced, r#"{"label": "a"}"#).await,
    ] {
        assert_eq!((clash.status.as_u16(), clash.code().as_str()), (409, "conflict"));
        assert_eq!(clash.header("retry-after"), "", "it will not pass");
        assert_eq!(clash.header("idempotency-replayed"), "");
    }
    assert_eq!(house.fingerprint(), before);
    // A verb is a route of its own, and a session a part of what is asked.
    let stop = |id: &str| format!("{SESSIONS}/{id}:stop");
    assert_eq!(post(&house, "acme", "k", &stop(&id), None).await.status, 200);
    let other = house.world.acme_session().await.id;
    assert_eq!(post(&house, "acme", "k", &stop(other.as_str()), None).await.status, 409);
}

#[tokio::test]
async fn a_name_belongs_to_its_organization_and_credential() {
    let house = House::open().await;
    let body = json!({ "label": "mine" });
    let mut ids = Vec::new();
    for caller in ["acme", "manager", "zeta"] {
        let first = post(&house, caller, "k", SESSIONS, Some(&body)).await;
        assert_eq!((first.status.as_u16(), first.header("idempotency-replayed")), (201, ""));
        assert_replayed(&post(&house, caller, "k", SESSIONS, Some(&body)).await, &first);
        ids.push(first.json()["id"].as_str().unwrap().to_owned());
    }
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

#[tokio::test]
async fn a_new_key_is_shown_again_to_whoever_asked_for_it_and_kept_where_nobody_can_read_it() {
    let house = House::open().await;
    let body = json!({ "name": "shop", "capabilities": ["read"] });
    let first = post(&house, "acme", "8e03978e", KEYS, Some(&body)).await;
    let text = first.json()["key"].as_str().unwrap().to_owned();
    let again = post(&house, "acme", "8e03978e", KEYS, Some(&body)).await;
    assert_replayed(&again, &first);
    assert_eq!(again.json()["key"], text.as_str());
    let scope = World::acme().may(domain::Capability::Manage).unwrap();
    let kept = house.world.memory.idempotency_records();
    assert_eq!(kept.len(), 1);
    let secret = text.rsplit('_').next().unwrap().as_bytes();
    for (organization, receipt) in kept {
        assert_eq!(&organization, scope.organization());
        assert!(!receipt.response.windows(secret.len()).any(|part| part == secret));
    }
}

#[tokio::test]
async fn a_day_later_it_is_a_new_request() {
    let house = House::open().await;
    let first = post(&house, "acme", "k", SESSIONS, None).await;
    house.world.environment.advance(Duration::from_secs(24 * 60 * 60 - 1));
    assert_replayed(&post(&house, "acme", "k", SESSIONS, None).await, &first);
    house.world.environment.advance(Duration::from_secs(2));
    let later = post(&house, "acme", "k", SESSIONS, None).await;
    assert_eq!((later.status.as_u16(), later.header("idempotency-replayed")), (201, ""));
    assert_ne!(later.json()["id"], first.json()["id"]);
}

#[tokio::test]
async fn what_can_be_no_name_is_told_with_the_other_faults() {
    let house = House::open().await;
    let before = house.fingerprint();
    let request = ask("POST", SESSIONS)
        .header("authorization", "Bearer acme")
        .header("content-type", "application/json")
        .header("idempotency-key", "a b");
    let answer = send(house.address, Version::One, request, r#"{"label":7}"#).await;
    assert_eq!((answer.status.as_u16(), answer.faults().len()), (400, 2));
    assert!(answer.faults().contains(&"Idempotency-Key".to_owned()), "{answer:?}");
    assert_eq!(house.fingerprint(), before);
}

#[tokio::test]
async fn other_methods_do_not_look_at_it() {
    let house = House::open().await;
    let id = house.linked().await.id;
    let at = format!("{SESSIONS}/{id}");
    for (method, status) in [("GET", 200), ("GET", 200), ("DELETE", 204), ("DELETE", 404)] {
        let request = ask(method, &at)
            .header("authorization", "Bearer acme")
            .header("idempotency-key", "two words");
        let answer = send(house.address, Version::One, request, "").await;
        assert_eq!(answer.status.as_u16(), status);
        assert_eq!(answer.header("idempotency-replayed"), "");
    }
    assert!(house.world.memory.idempotency_records().is_empty());
}

#[tokio::test]
async fn who_may_not_is_told_so_before_any_name_is_looked_at() {
    let house = House::open().await;
    let before = house.fingerprint();
    for (caller, status) in [("garbage", 401), ("member", 403), ("nowhere", 403), ("down", 503)] {
        for _ in 0..2 {
            let answer = post(&house, caller, "k", SESSIONS, None).await;
            assert_eq!(
                (answer.status.as_u16(), answer.header("idempotency-replayed")),
                (status, "")
            );
        }
    }
    assert_eq!(house.fingerprint(), before);
}

#[tokio::test]
async fn while_nobody_can_say_whether_it_was_done_nothing_is_done() {
    let house = House::open().await;
    house.world.memory.set_down(true);
    let away = post(&house, "acme", "k", SESSIONS, None).await;
    assert_eq!((away.status.as_u16(), away.code().as_str()), (503, "unavailable"));
    house.world.memory.set_down(false);
    let first = post(&house, "acme", "k", SESSIONS, None).await;
    assert_eq!((first.status.as_u16(), first.header("idempotency-replayed")), (201, ""));
}

/// A bell at which whoever waits stays until let go.
#[derive(Clone)]
struct Stile {
    hand: Hand,
    arrived: Arc<Semaphore>,
    go: Arc<Semaphore>,
}

impl Stile {
    fn before(hand: &Hand) -> Self {
        let none = || Arc::new(Semaphore::new(0));
        Self { hand: hand.clone(), arrived: none(), go: none() }
    }
}

#[async_trait]
impl Notifier for Stile {
    fn notify(&self) {}

    async fn wait(&self, at_most: Duration) {
        self.arrived.add_permits(1);
        self.go.acquire().await.unwrap().forget();
        self.hand.wait(at_most).await;
    }
}

#[tokio::test]
async fn while_it_is_under_way_it_is_not_begun_again() {
    let stile = Arc::new(std::sync::OnceLock::new());
    let made = stile.clone();
    let house = House::build(Limits::default(), move |hand| {
        Arc::new(made.get_or_init(|| Stile::before(hand)).clone())
    })
    .await;
    let stile = stile.get().unwrap();
    stile.go.add_permits(1000);
    let id = house.linked().await.id;
    stile.go.forget_permits(1000);
    stile.arrived.forget_permits(1000);

    let logout = format!("{SESSIONS}/{id}:logout");
    let (address, at) = (house.address, logout.clone());
    let waiting =
        tokio::spawn(async move { send_to(address, Version::One, "acme", "k", &at, None).await });
    stile.arrived.acquire().await.unwrap().forget();
    for version in BOTH {
        let busy = send_to(house.address, version, "acme", "k", &logout, None).await;
        assert_eq!((busy.status.as_u16(), busy.code().as_str()), (409, "conflict"));
        assert_eq!(busy.header("retry-after"), "1");
    }
    stile.go.add_permits(1000);
    let first = waiting.await.unwrap();
    assert_eq!((first.status.as_u16(), first.json()["phoneNumber"].clone()), (200, Value::Null));
    // Its last word is what is kept, not what was so when it was written.
    assert_replayed(&post(&house, "acme", "k", &logout, None).await, &first);
}

#[tokio::test]
async fn of_two_routers_one_does_it_and_both_say_so() {
    let house = House::open().await;
    let other = another_router(&house.world, &house.doorman, &house.checks);
    let (other, _stop, _served) = listen(other.public(Limits::default())).await;
    let body = json!({ "label": "once" });
    let requests: Vec<_> = (0..100)
        .map(|n| {
            let to = if n % 2 == 0 { house.address } else { other };
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
    let listed = house.ask("acme", "GET", SESSIONS).await.json();
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
}
