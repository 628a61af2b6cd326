//! What an organization may keep: a full quota is a conflict that says which, how much and of how much.

use std::time::Duration;

use bytes::Bytes;
use domain::{Quotas, ResourceLimits};
use serde_json::{Value, json};

use crate::{
    client::{Answer, Version, ask, send},
    house::House,
};

const SESSIONS: &str = "/api/v1/sessions";
const KEYS: &str = "/api/v1/api-keys";

/// What every organization may keep from now on.
fn limit(house: &House, usual: ResourceLimits) {
    house.world.memory.set_quotas(Quotas { default: usual, overrides: [].into() });
}

#[track_caller]
fn assert_full(answer: &Answer, quota: &str, limit: u64, used: u64) {
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (409, "conflict"), "{answer:?}");
    let details = json!({ "quota": quota, "limit": limit, "used": used });
    assert_eq!(answer.json()["error"]["details"], details);
    assert_eq!(answer.header("retry-after"), "", "waiting does not help");
}

/// A POST with an `Idempotency-Key`.
async fn named(house: &House, name: &str, path: &str, body: &Value) -> Answer {
    let request = ask("POST", path)
        .header("authorization", "Bearer acme")
        .header("content-type", "application/json")
        .header("idempotency-key", name);
    send(house.address, Version::One, request, Bytes::from(body.to_string())).await
}

#[tokio::test]
async fn sessions_and_their_metadata_have_quotas() {
    let house = House::open().await;
    limit(
        &house,
        ResourceLimits { sessions: Some(2), metadata: Some(20), ..ResourceLimits::default() },
    );
    let long = json!({ "metadata": { "n": "0123456789" } });
    let first = house.post("acme", SESSIONS, &long).await;
    assert_eq!(first.status, 201);
    assert_full(&house.post("acme", SESSIONS, &long).await, "metadata", 20, 16);
    assert_eq!(house.post("acme", SESSIONS, &json!({})).await.status, 201);
    let before = house.fingerprint();
    assert_full(&house.post("acme", SESSIONS, &json!({})).await, "sessions", 2, 2);
    assert_full(&house.post("acme", SESSIONS, &json!({ "start": true })).await, "sessions", 2, 2);
    let resource = format!("{SESSIONS}/{}", first.json()["id"].as_str().unwrap());
    let patch = json!({ "metadata": { "m": "0" } });
    let grown = house.say(Version::Two, "acme", "PATCH", &resource, Some(&patch)).await;
    assert_full(&grown, "metadata", 20, 16);
    assert_eq!(house.fingerprint(), before);
    let patch = json!({ "metadata": { "n": null, "m": "0" } });
    let smaller = house.say(Version::One, "acme", "PATCH", &resource, Some(&patch)).await;
    assert_eq!(smaller.status, 200);
    // Another organization has its own.
    assert_eq!(house.post("zeta", SESSIONS, &long).await.status, 201);
    assert_eq!(house.ask("acme", "DELETE", &resource).await.status, 204);
    assert_eq!(house.post("acme", SESSIONS, &long).await.status, 201);
}

#[tokio::test]
async fn keys_have_a_quota() {
    let house = House::open().await;
    limit(&house, ResourceLimits { api_keys: Some(1), ..ResourceLimits::default() });
    let body = json!({ "name": "k", "capabilities": ["read"] });
    let first = house.post("acme", KEYS, &body).await;
    assert_eq!(first.status, 201);
    assert_full(&house.post("acme", KEYS, &body).await, "api_keys", 1, 1);
    assert_eq!(house.post("zeta", KEYS, &body).await.status, 201);
    let path = format!("{KEYS}/{}", first.json()["id"].as_str().unwrap());
    assert_eq!(house.ask("acme", "DELETE", &path).await.status, 204);
    assert_eq!(house.post("acme", KEYS, &body).await.status, 201);
}

#[tokio::test]
async fn where_no_answer_can_be_recorded_nothing_is_done_and_what_was_done_is_answered() {
    let house = House::open().await;
    let id = house.linked().await.id;
    let logout = format!("{SESSIONS}/{id}:logout");
    let first = named(&house, "first", SESSIONS, &json!({})).await;
    assert_eq!(first.status, 201);
    let kept = house.world.memory.idempotency_records();
    let used = u64::try_from(kept[0].1.response.len()).unwrap();
    limit(&house, ResourceLimits { idempotency_records: Some(used), ..ResourceLimits::default() });
    let before = house.fingerprint();
    for (path, body) in
        [(SESSIONS, json!({})), (KEYS, json!({ "name": "k", "capabilities": ["read"] }))]
    {
        let refused = named(&house, "second", path, &body).await;
        assert_full(&refused, "idempotency_records", used, used);
    }
    let request = ask("POST", &logout)
        .header("authorization", "Bearer acme")
        .header("idempotency-key", "second");
    let refused = send(house.address, Version::Two, request, "").await;
    assert_full(&refused, "idempotency_records", used, used);
    let again = named(&house, "first", SESSIONS, &json!({})).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (first.status, "true"));
    assert_eq!(house.fingerprint(), before);
    assert_eq!(house.post("acme", SESSIONS, &json!({})).await.status, 201, "without a name");
}

#[tokio::test]
async fn a_full_quota_is_not_recorded() {
    let house = House::open().await;
    limit(&house, ResourceLimits { sessions: Some(1), ..ResourceLimits::default() });
    let only = house.post("acme", SESSIONS, &json!({})).await;
    for _ in 0..2 {
        let full = named(&house, "k", SESSIONS, &json!({})).await;
        assert_full(&full, "sessions", 1, 1);
        assert_eq!(full.header("idempotency-replayed"), "");
    }
    assert!(house.world.memory.idempotency_records().is_empty());
    let path = format!("{SESSIONS}/{}", only.json()["id"].as_str().unwrap());
    assert_eq!(house.ask("acme", "DELETE", &path).await.status, 204);
    assert_eq!(named(&house, "k", SESSIONS, &json!({})).await.status, 201);
}

#[tokio::test]
async fn refusals_are_recorded_for_minutes_and_large_ones_not_at_all() {
    let house = House::open().await;
    let bad = json!({ "label": 7 });
    let replayed = async |body: &Value, name: &str| {
        let answer = named(&house, name, SESSIONS, body).await;
        assert_eq!(answer.status, 400);
        answer.header("idempotency-replayed") == "true"
    };
    assert!(!replayed(&bad, "small").await);
    house.world.environment.advance(Duration::from_secs(10 * 60 - 1));
    assert!(replayed(&bad, "small").await);
    house.world.environment.advance(Duration::from_secs(1));
    assert!(!replayed(&bad, "small").await);
    let records = house.world.memory.idempotency_records().len();
    let large = json!({ "x".repeat(60_000): 1 });
    assert!(!replayed(&large, "large").await);
    assert!(!replayed(&large, "large").await);
    assert_eq!(house.world.memory.idempotency_records().len(), records);
}

#[tokio::test]
async fn a_phone_number_with_a_leading_zero_is_a_fault() {
    let house = House::open().await;
    let id = house.world.acme_session().await.id;
    let before = house.fingerprint();
    let path = format!("{SESSIONS}/{id}/pairing-code");
    for phone in ["015551234567", "0015551234567", "0000000"] {
        let answer = house.post("acme", &path, &json!({ "phone": phone })).await;
        assert_eq!((answer.status.as_u16(), answer.faults()), (400, vec!["/phone".to_owned()]));
    }
    assert_eq!(house.fingerprint(), before);
}
