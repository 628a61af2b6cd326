//! Quotas of an organization: a full quota is a conflict with quota, use and limit.

use std::time::Duration;

use bytes::Bytes;
use domain::{Quotas, ResourceLimits};
use serde_json::{Value, json};

use crate::{
    client::{ReceivedResponse, Version, ask, send},
    test_server::TestServer,
};

const SESSIONS: &str = "/api/v1/sessions";
const KEYS: &str = "/api/v1/api-keys";

/// Sets the quotas of every organization.
fn limit(server: &TestServer, usual: ResourceLimits) {
    server.world.memory.set_quotas(Quotas { default: usual, overrides: [].into() });
}

#[track_caller]
fn assert_full(answer: &ReceivedResponse, quota: &str, limit: u64, used: u64) {
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (409, "conflict"), "{answer:?}");
    let details = json!({ "quota": quota, "limit": limit, "used": used });
    assert_eq!(answer.json()["error"]["details"], details);
    assert_eq!(answer.header("retry-after"), "", "waiting does not help");
}

/// Sends a POST with an `Idempotency-Key`.
async fn named(server: &TestServer, name: &str, path: &str, body: &Value) -> ReceivedResponse {
    let request = ask("POST", path)
        .header("authorization", "Bearer acme")
        .header("content-type", "application/json")
        .header("idempotency-key", name);
    send(server.address, Version::One, request, Bytes::from(body.to_string())).await
}

#[tokio::test]
async fn sessions_and_metadata_have_quotas() {
    let server = TestServer::open().await;
    limit(
        &server,
        ResourceLimits { sessions: Some(2), metadata: Some(20), ..ResourceLimits::default() },
    );
    let long = json!({ "metadata": { "n": "0123456789" } });
    let first = server.post("acme", SESSIONS, &long).await;
    assert_eq!(first.status, 201);
    assert_full(&server.post("acme", SESSIONS, &long).await, "metadata", 20, 16);
    assert_eq!(server.post("acme", SESSIONS, &json!({})).await.status, 201);
    let before = server.fingerprint();
    assert_full(&server.post("acme", SESSIONS, &json!({})).await, "sessions", 2, 2);
    assert_full(&server.post("acme", SESSIONS, &json!({ "start": true })).await, "sessions", 2, 2);
    let resource = format!("{SESSIONS}/{}", first.json()["id"].as_str().unwrap());
    let patch = json!({ "metadata": { "m": "0" } });
    let grown = server.say(Version::Two, "acme", "PATCH", &resource, Some(&patch)).await;
    assert_full(&grown, "metadata", 20, 16);
    assert_eq!(server.fingerprint(), before);
    let patch = json!({ "metadata": { "n": null, "m": "0" } });
    let smaller = server.say(Version::One, "acme", "PATCH", &resource, Some(&patch)).await;
    assert_eq!(smaller.status, 200);
    // Another organization has a quota of its own.
    assert_eq!(server.post("zeta", SESSIONS, &long).await.status, 201);
    assert_eq!(server.ask("acme", "DELETE", &resource).await.status, 204);
    assert_eq!(server.post("acme", SESSIONS, &long).await.status, 201);
}

#[tokio::test]
async fn keys_have_a_quota() {
    let server = TestServer::open().await;
    limit(&server, ResourceLimits { api_keys: Some(1), ..ResourceLimits::default() });
    let body = json!({ "name": "k", "capabilities": ["read"] });
    let first = server.post("acme", KEYS, &body).await;
    assert_eq!(first.status, 201);
    assert_full(&server.post("acme", KEYS, &body).await, "api_keys", 1, 1);
    assert_eq!(server.post("zeta", KEYS, &body).await.status, 201);
    let path = format!("{KEYS}/{}", first.json()["id"].as_str().unwrap());
    assert_eq!(server.ask("acme", "DELETE", &path).await.status, 204);
    assert_eq!(server.post("acme", KEYS, &body).await.status, 201);
}

#[tokio::test]
async fn full_record_quota_blocks_new_requests_and_not_replays() {
    let server = TestServer::open().await;
    let id = server.linked().await.id;
    let logout = format!("{SESSIONS}/{id}:logout");
    let first = named(&server, "first", SESSIONS, &json!({})).await;
    assert_eq!(first.status, 201);
    let kept = server.world.memory.idempotency_records();
    let used = u64::try_from(kept[0].1.response.len()).unwrap();
    limit(&server, ResourceLimits { idempotency_records: Some(used), ..ResourceLimits::default() });
    let before = server.fingerprint();
    for (path, body) in
        [(SESSIONS, json!({})), (KEYS, json!({ "name": "k", "capabilities": ["read"] }))]
    {
        let refused = named(&server, "second", path, &body).await;
        assert_full(&refused, "idempotency_records", used, used);
    }
    let request = ask("POST", &logout)
        .header("authorization", "Bearer acme")
        .header("idempotency-key", "second");
    let refused = send(server.address, Version::Two, request, "").await;
    assert_full(&refused, "idempotency_records", used, used);
    let again = named(&server, "first", SESSIONS, &json!({})).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (first.status, "true"));
    assert_eq!(server.fingerprint(), before);
    assert_eq!(server.post("acme", SESSIONS, &json!({})).await.status, 201, "without a name");
}

#[tokio::test]
async fn quota_error_is_not_recorded() {
    let server = TestServer::open().await;
    limit(&server, ResourceLimits { sessions: Some(1), ..ResourceLimits::default() });
    let only = server.post("acme", SESSIONS, &json!({})).await;
    for _ in 0..2 {
        let full = named(&server, "k", SESSIONS, &json!({})).await;
        assert_full(&full, "sessions", 1, 1);
        assert_eq!(full.header("idempotency-replayed"), "");
    }
    assert!(server.world.memory.idempotency_records().is_empty());
    let path = format!("{SESSIONS}/{}", only.json()["id"].as_str().unwrap());
    assert_eq!(server.ask("acme", "DELETE", &path).await.status, 204);
    assert_eq!(named(&server, "k", SESSIONS, &json!({})).await.status, 201);
}

#[tokio::test]
async fn refusals_are_recorded_for_minutes_and_large_ones_not_at_all() {
    let server = TestServer::open().await;
    let bad = json!({ "label": 7 });
    let replayed = async |body: &Value, name: &str| {
        let answer = named(&server, name, SESSIONS, body).await;
        assert_eq!(answer.status, 400);
        answer.header("idempotency-replayed") == "true"
    };
    assert!(!replayed(&bad, "small").await);
    server.world.environment.advance(Duration::from_secs(10 * 60 - 1));
    assert!(replayed(&bad, "small").await);
    server.world.environment.advance(Duration::from_secs(1));
    assert!(!replayed(&bad, "small").await);
    let records = server.world.memory.idempotency_records().len();
    let large = json!({ "x".repeat(60_000): 1 });
    assert!(!replayed(&large, "large").await);
    assert!(!replayed(&large, "large").await);
    assert_eq!(server.world.memory.idempotency_records().len(), records);
}

#[tokio::test]
async fn phone_number_with_a_leading_zero_is_a_fault() {
    let server = TestServer::open().await;
    let id = server.world.acme_session().await.id;
    let before = server.fingerprint();
    let path = format!("{SESSIONS}/{id}/pairing-code");
    for phone in ["015551234567", "0015551234567", "0000000"] {
        let answer = server.post("acme", &path, &json!({ "phone": phone })).await;
        assert_eq!((answer.status.as_u16(), answer.faults()), (400, vec!["/phone".to_owned()]));
    }
    assert_eq!(server.fingerprint(), before);
}
