//! Webhooks: create, change, pause, resume, replay, and what their owners read.

use domain::{
    OutcomeClass,
    testing::{World, outcome},
};
use serde_json::{Value, json};

use crate::{
    client::{Version, ask, send},
    test_server::TestServer,
};

const WEBHOOKS: &str = "/api/v1/webhooks";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

async fn create(server: &TestServer, more: Value) -> Value {
    let mut body = json!({ "url": "https://shop.example/hook?key=7" });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let answer = server.post("acme", WEBHOOKS, &body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()
}

async fn patch(server: &TestServer, webhook: &Value, change: Value) -> (u16, Value) {
    let path = format!("{WEBHOOKS}/{}", webhook["id"].as_str().unwrap());
    let answer = server.say(Version::One, "acme", "PATCH", &path, Some(&change)).await;
    (answer.status.as_u16(), answer.json())
}

#[tokio::test]
async fn new_webhook_has_defaults_and_shows_no_secret() {
    let server = TestServer::open().await;
    let plain = create(&server, json!({})).await;
    assert_eq!((&plain["events"], &plain["sessionId"]), (&json!(["*"]), &Value::Null));
    assert_eq!((&plain["active"], &plain["ordered"]), (&json!(true), &json!(true)));
    let policy = json!({ "policy": "exponential", "delaySeconds": 2, "attempts": 15 });
    assert_eq!(plain["retryPolicy"], policy);
    let headers = json!({ "X-Tenant": "7", "X-Api-Token": "hidden-value" });
    let full = create(&server, json!({ "secret": SECRET, "customHeaders": headers })).await;
    let shown = json!({ "X-Tenant": "7", "X-Api-Token": "***" });
    assert_eq!(full["customHeaders"], shown);
    let listed = server.ask("acme", "GET", WEBHOOKS).await;
    for text in [full.to_string(), String::from_utf8(listed.body.to_vec()).unwrap()] {
        assert!(!text.contains("whsec") && !text.contains("hidden"), "{text}");
    }
    assert_eq!(listed.json()["data"].as_array().unwrap().len(), 2);
    let events = server.world.memory.events();
    assert!(!format!("{events:?}").contains("key=7"), "events show scheme and host only");
}

#[tokio::test]
async fn ping_is_signed_with_both_secrets_of_a_rotation() {
    let server = TestServer::open().await;
    let webhook = create(&server, json!({ "customHeaders": { "X-Token": "t" } })).await;
    let id = webhook["id"].as_str().unwrap().to_owned();
    let ping = async || {
        let answer = server.ask("acme", "POST", &format!("{WEBHOOKS}/{id}:ping")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let sent = server.world.webhook_sender.sent().pop().unwrap();
        (answer.json(), sent)
    };
    let (answer, unsigned) = ping().await;
    assert_eq!(answer, json!({ "outcome": "2xx", "status": 200, "durationMs": 5 }));
    assert_eq!((&unsigned.credentials.secret, unsigned.number), (&None, 1));
    assert_eq!(unsigned.credentials.headers[0].value, "t");
    assert!(unsigned.body.contains(&id), "{}", unsigned.body);
    let first = "the-first-secret-of-24-chars";
    assert_eq!(patch(&server, &webhook, json!({ "secret": first })).await.0, 200);
    let (status, rotated) = patch(&server, &webhook, json!({ "secret": SECRET })).await;
    assert!(status == 200 && rotated["secretRotatedAt"].is_i64(), "{rotated}");
    let same = patch(&server, &webhook, json!({ "secret": SECRET })).await.1;
    assert_eq!(same, rotated, "the same secret is no rotation");
    let (_, signed) = ping().await;
    assert_eq!(signed.credentials.secret.as_deref(), Some(SECRET));
    assert_eq!(signed.credentials.previous.as_deref(), Some(first));
    server.world.environment.advance(std::time::Duration::from_secs(24 * 3_600));
    assert_eq!(ping().await.1.credentials.previous, None);
    server.world.webhook_sender.answer(|_| outcome(OutcomeClass::Timeout, None));
    assert_eq!(ping().await.0["outcome"], "timeout");
}

#[tokio::test]
async fn ping_ignores_the_idempotency_key() {
    let server = TestServer::open().await;
    let id = create(&server, json!({})).await["id"].as_str().unwrap().to_owned();
    for count in 1..=2 {
        let request = ask("POST", &format!("{WEBHOOKS}/{id}:ping"));
        let request = request.header("authorization", "Bearer acme").header("idempotency-key", "k");
        let answer = send(server.address, Version::One, request, "").await;
        assert_eq!((answer.status.as_u16(), answer.header("idempotency-replayed")), (200, ""));
        assert_eq!(server.world.webhook_sender.sent().len(), count);
    }
}

#[tokio::test]
async fn invalid_fields_are_reported_together_and_nothing_is_written() {
    let server = TestServer::open().await;
    let before = server.fingerprint();
    let body = json!({
        "url": "ftp://x", "events": ["nothing.*", "auth.qr", "x"], "secret": "short",
        "sessionId": "sess_none", "customHeaders": { "Host": "x" },
        "retryPolicy": { "delaySeconds": 2 }
    });
    let fields = server.post("acme", WEBHOOKS, &body).await.faults();
    let expected = ["/url", "/secret", "/customHeaders", "/events/0", "/events/2", "/sessionId"];
    assert_eq!(fields, expected);
    for (more, field) in [
        (json!({ "events": [] }), "/events"),
        (json!({ "url": "https://private.test/" }), "/url"),
        (json!({ "customHeaders": { "X-Token": "***" } }), "/customHeaders"),
    ] {
        let mut body = json!({ "url": "https://shop.example/" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(server.post("acme", WEBHOOKS, &body).await.faults(), [field]);
    }
    assert_eq!(server.fingerprint(), before);
}

#[tokio::test]
async fn session_of_another_organization_is_no_session() {
    let server = TestServer::open().await;
    let session = server.world.acme_session().await.id;
    let body = json!({ "url": "https://shop.example/", "sessionId": session.as_str() });
    let own = server.post("acme", WEBHOOKS, &body).await;
    assert_eq!((own.status.as_u16(), &own.json()["sessionId"]), (201, &json!(session.as_str())));
    let missing = json!({ "url": "https://shop.example/", "sessionId": "sess_x" });
    let [foreign, missing] =
        [server.post("zeta", WEBHOOKS, &body).await, server.post("zeta", WEBHOOKS, &missing).await];
    assert_eq!(foreign.status, 400);
    assert_eq!(foreign.comparable(), missing.comparable());
    // The webhook outlives its session.
    server.world.sessions.delete(&World::acme(), session.as_str(), None).await.unwrap();
    let (status, webhook) = patch(&server, &own.json(), json!({ "active": false })).await;
    assert_eq!((status, &webhook["sessionId"]), (200, &json!(session.as_str())));
}

#[tokio::test]
async fn patch_merges_headers_and_keeps_masked_values() {
    let server = TestServer::open().await;
    let headers = json!({ "X-A": "1", "X-Token": "t", "X-B": "2" });
    let webhook = create(&server, json!({ "customHeaders": headers })).await;
    let change = json!({ "customHeaders": { "X-A": null, "X-Token": "***", "X-C": "3" } });
    let (status, changed) = patch(&server, &webhook, change).await;
    assert_eq!(status, 200);
    let shown = json!({ "X-B": "2", "X-C": "3", "X-Token": "***" });
    assert_eq!(changed["customHeaders"], shown);
    let path = format!("{WEBHOOKS}/{}:ping", webhook["id"].as_str().unwrap());
    server.ask("acme", "POST", &path).await;
    let sent = server.world.webhook_sender.sent().pop().unwrap();
    let values: Vec<_> = sent.credentials.headers.iter().map(|pair| pair.value.as_str()).collect();
    assert_eq!(values, ["2", "t", "3"]);
    let (_, again) = patch(&server, &webhook, json!({ "customHeaders": { "X-C": "3" } })).await;
    assert_eq!(again["version"], changed["version"], "a patch without effect");
    let (_, none) = patch(&server, &webhook, json!({ "customHeaders": null })).await;
    assert_eq!(none["customHeaders"], json!({}));
}

#[tokio::test]
async fn secret_without_a_seal_key_is_a_conflict_that_names_the_setting() {
    let server = TestServer::open().await;
    let sealed = create(&server, json!({ "secret": SECRET })).await;
    server.world.sealer.set_key(false);
    let before = server.fingerprint();
    let path = format!("{WEBHOOKS}/{}", sealed["id"].as_str().unwrap());
    for (method, path, body) in [
        ("POST", WEBHOOKS, Some(json!({ "url": "https://shop.example/", "secret": SECRET }))),
        (
            "POST",
            WEBHOOKS,
            Some(json!({ "url": "https://a.example/", "customHeaders": { "X-Token": "t" } })),
        ),
        ("PATCH", &path, Some(json!({ "secret": format!("{SECRET}x") }))),
        ("POST", &format!("{path}:ping"), None),
    ] {
        let answer = server.say(Version::One, "acme", method, path, body.as_ref()).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (409, "conflict"));
        assert!(answer.json()["error"]["message"].as_str().unwrap().contains("BERTH_SEAL_KEYS"));
    }
    assert_eq!(server.fingerprint(), before);
    // What needs no key works.
    create(&server, json!({ "customHeaders": { "X-Tenant": "7" } })).await;
    assert_eq!(patch(&server, &sealed, json!({ "active": false })).await.0, 200);
    assert_eq!(patch(&server, &sealed, json!({ "secret": null })).await.0, 200);
}

#[tokio::test]
async fn pause_and_resume_show_in_the_state() {
    let server = TestServer::open().await;
    let webhook = create(&server, json!({ "secret": SECRET })).await;
    let path = format!("{WEBHOOKS}/{}", webhook["id"].as_str().unwrap());
    let state = async || server.ask("acme", "GET", &format!("{path}/state")).await.json();
    let first = state().await;
    assert_eq!((&first["state"], &first["signed"]), (&json!("delivering"), &json!(true)));
    assert_eq!(first["lag"], 1, "the event of the creation waits");
    let paused = server.ask("acme", "POST", &format!("{path}:pause")).await.json();
    let again = server.ask("acme", "POST", &format!("{path}:pause")).await.json();
    assert_eq!((&paused["paused"], &again), (&json!(true), &paused));
    assert_eq!(state().await["state"], "paused");
    let resumed = server.ask("acme", "POST", &format!("{path}:resume")).await.json();
    assert_eq!(resumed["paused"], false);
    assert_eq!(state().await["state"], "delivering");
    assert_eq!(patch(&server, &webhook, json!({ "active": false })).await.0, 200);
    assert_eq!(state().await["state"], "inactive");
    assert_eq!(patch(&server, &webhook, json!({ "active": true })).await.0, 200);
    let waiting = state().await;
    assert_eq!(waiting["lag"], 1, "earlier events are skipped, the activation is not: {waiting}");
}

#[tokio::test]
async fn replay_starts_once_and_its_beginning_must_exist() {
    let server = TestServer::open().await;
    let webhook = create(&server, json!({})).await;
    let path = format!("{WEBHOOKS}/{}:replay", webhook["id"].as_str().unwrap());
    let foreign = {
        let body = json!({ "url": "https://a.example/" });
        server.post("zeta", WEBHOOKS, &body).await;
        server.world.memory.events().pop().unwrap().id.to_string()
    };
    let mut gone = Vec::new();
    for after in [foreign.as_str(), "evt_00000000000000000000000001"] {
        let answer = server.post("acme", &path, &json!({ "after": after })).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (410, "gone"));
        assert!(answer.json()["error"]["details"]["oldest"].is_string());
        gone.push(answer.comparable());
    }
    assert_eq!(gone[0], gone[1]);
    let first = server.world.memory.events().remove(0).id.to_string();
    let answer = server.post("acme", &path, &json!({ "after": first })).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["deadOnly"]), (202, &json!(false)));
    let again = server.post("acme", &path, &json!({ "deadOnly": true })).await;
    assert_eq!((again.status.as_u16(), again.code().as_str()), (409, "conflict"));
    let path = path.replace(":replay", "/state");
    let state = server.ask("acme", "GET", &path).await.json();
    assert_eq!(state["replay"], answer.json());
}

#[tokio::test]
async fn dead_letters_and_failing_events_are_listed_replayed_and_skipped() {
    let server = TestServer::open().await;
    let ids = server.failing_webhook().await;
    let (webhook, event) = ids.split_once('|').unwrap();
    let path = format!("{WEBHOOKS}/{webhook}");
    let listed = server.ask("acme", "GET", &format!("{path}/dead-letters")).await.json();
    assert_eq!(
        (&listed["data"][0]["event"], &listed["data"][0]["status"]),
        (&json!(event), &json!(500))
    );
    let state = server.ask("acme", "GET", &format!("{path}/state")).await.json();
    assert_eq!((&state["state"], &state["blockedSessions"]), (&json!("retrying"), &json!(1)));
    for action in ["replay", "skip"] {
        let at = format!("{path}/dead-letters/{event}:{action}");
        assert_eq!(server.ask("acme", "POST", &at).await.status, 204);
        let other = server.world.acme_webhook().await.id;
        let at = format!("{WEBHOOKS}/{other}/dead-letters/{event}:{action}");
        let missing = server.ask("acme", "POST", &at).await;
        assert_eq!((missing.status.as_u16(), missing.code().as_str()), (404, "not_found"));
    }
    let attempts = server.ask("acme", "GET", &format!("{path}/attempts")).await.json();
    assert_eq!(attempts, json!({ "data": [], "nextCursor": null }));
}
