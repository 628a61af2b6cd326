//! Merge patches of settings: named fields change, null removes, absent fields stay.

use domain::{EventValue, MAX_RATE};
use http_hyper::wire;
use serde_json::{Value, json};

use crate::{
    client::{BOTH, ReceivedResponse, Version, ask, send},
    test_server::TestServer,
};

const SESSIONS: &str = "/api/v1/sessions";

async fn made(server: &TestServer) -> (String, Value) {
    let body = json!({
        "label": "old",
        "autoRead": true,
        "ratePerMin": 5,
        "ratePerHour": 50,
        "metadata": { "a": "1", "b": "2" },
    });
    let session = server.post("acme", SESSIONS, &body).await.json();
    (format!("{SESSIONS}/{}", session["id"].as_str().unwrap()), session)
}

async fn patch(server: &TestServer, path: &str, body: &Value) -> ReceivedResponse {
    let answer = server.say(Version::One, "acme", "PATCH", path, Some(body)).await;
    answer.assert_well_formed(path);
    answer
}

#[tokio::test]
async fn patch_changes_named_fields_and_null_removes() {
    let server = TestServer::open().await;
    let (path, before) = made(&server).await;
    let body = json!({
        "label": null,
        "presenceTyping": true,
        "ratePerMin": 7,
        "ratePerHour": null,
        "metadata": { "a": null, "c": "3", "never-there": null },
    });
    let answer = patch(&server, &path, &body).await;
    assert_eq!(answer.status, 200);
    let mut expected = before;
    expected["label"] = Value::Null;
    expected["presenceTyping"] = json!(true);
    expected["ratePerMin"] = json!(7);
    expected["ratePerHour"] = Value::Null;
    expected["metadata"] = json!({ "b": "2", "c": "3" });
    expected["version"] = json!(2);
    assert_eq!(answer.json(), expected);
    assert_eq!(server.ask("acme", "GET", &path).await.json(), expected);
}

#[tokio::test]
async fn settings_of_messages_have_defaults_that_null_restores() {
    let server = TestServer::open().await;
    let (path, before) = made(&server).await;
    assert_eq!((&before["messages"], &before["retentionDays"]), (&json!("full"), &json!(90)));
    let body = json!({ "messages": "headers", "retentionDays": 0, "ratePerHour": 0 });
    let changed = patch(&server, &path, &body).await.json();
    for (name, value) in body.as_object().unwrap() {
        assert_eq!(&changed[name], value);
    }
    let body = json!({ "messages": null, "retentionDays": null, "ratePerHour": null });
    let restored = patch(&server, &path, &body).await.json();
    assert_eq!((&restored["messages"], &restored["retentionDays"]), (&json!("full"), &json!(90)));
    assert_eq!(restored["ratePerHour"], Value::Null);
    let events = server.world.memory.events();
    let fields = events.last().unwrap().payload.fields();
    let names = EventValue::Text("ratePerHour messages retentionDays".to_owned());
    assert_eq!(fields, [("fields".into(), names)]);
}

#[tokio::test]
async fn null_clears_the_metadata() {
    let server = TestServer::open().await;
    let (path, _) = made(&server).await;
    let answer = patch(&server, &path, &json!({ "metadata": null })).await.json();
    assert_eq!((&answer["metadata"], &answer["label"]), (&json!({}), &json!("old")));
}

#[tokio::test]
async fn patch_without_effect_keeps_the_version() {
    let server = TestServer::open().await;
    let (path, before) = made(&server).await;
    let fingerprint = server.fingerprint();
    for body in
        [json!({}), json!({ "label": "old", "metadata": { "a": "1" } }), json!({ "metadata": {} })]
    {
        let answer = patch(&server, &path, &body).await;
        assert_eq!((answer.status.as_u16(), answer.json()), (200, before.clone()), "{body}");
    }
    assert_eq!(server.ask("acme", "PATCH", &path).await.json(), before);
    assert_eq!(server.fingerprint(), fingerprint);
}

#[tokio::test]
async fn all_faults_of_a_patch_are_reported_whatever_the_session() {
    let server = TestServer::open().await;
    let (path, _) = made(&server).await;
    let before = server.fingerprint();
    let body = json!({
        "autoRead": null,
        "presenceTyping": "yes",
        "label": "x".repeat(101),
        "ratePerMin": MAX_RATE + 1,
        "ratePerHour": -1,
        "messages": "some",
        "retentionDays": 3651,
        "metadata": { "a/b": 1, "long": "x".repeat(501) },
        "status": "working",
        "start": true,
    });
    let answer = patch(&server, &path, &body).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "validation_error"));
    let mut faults = answer.faults();
    faults.sort();
    let mut expected = ["/autoRead", "/label", "/messages", "/metadata/a~1b"].to_vec();
    expected.extend(["/metadata/long", "/presenceTyping", "/ratePerHour", "/ratePerMin"]);
    expected.extend(["/retentionDays", "/start", "/status"]);
    assert_eq!(faults, expected);
    for caller in ["zeta", "acme"] {
        let never = format!("{SESSIONS}/none");
        for path in [&path, &never] {
            let other = server.say(Version::One, caller, "PATCH", path, Some(&body)).await;
            assert_eq!(other.comparable(), answer.comparable(), "{caller} {path}");
        }
    }
    for body in [json!([]), json!(null), json!({ "metadata": "text" }), json!({ "metadata": [] })] {
        assert_eq!(patch(&server, &path, &body).await.status, 400, "{body}");
    }
    assert_eq!(server.fingerprint(), before);
}

#[tokio::test]
async fn metadata_limits_apply_to_the_merged_result() {
    let server = TestServer::open().await;
    let (path, _) = made(&server).await;
    let many = |count: usize| {
        let keys = (0..count).map(|n| (format!("k{n}"), json!("v")));
        Value::Object(keys.collect())
    };
    let answer = patch(&server, &path, &json!({ "metadata": many(19) })).await;
    assert_eq!((answer.status.as_u16(), answer.faults()), (400, vec!["/metadata".to_owned()]));
    let answer = patch(&server, &path, &json!({ "metadata": many(18) })).await;
    assert_eq!((answer.status.as_u16(), answer.json()["metadata"]["a"].clone()), (200, json!("1")));
}

#[tokio::test]
async fn patch_needs_a_patch_or_json_media_type() {
    let server = TestServer::open().await;
    let (path, _) = made(&server).await;
    for version in BOTH {
        for (kind, status) in [
            ("application/merge-patch+json", 200),
            ("application/merge-patch+json; charset=utf-8", 200),
            ("application/json", 200),
            ("application/json-patch+json", 415),
            ("text/plain", 415),
        ] {
            let request =
                ask("PATCH", &path).header("x-api-key", "acme").header("content-type", kind);
            let body = wire::SessionPatch::sample().to_string();
            let answer = send(server.address, version, request, body).await;
            assert_eq!(answer.status, status, "{kind}");
            answer.assert_well_formed(kind);
        }
    }
    // The media type of a patch is not accepted by the creation.
    let request = ask("POST", SESSIONS)
        .header("x-api-key", "acme")
        .header("content-type", "application/merge-patch+json");
    assert_eq!(send(server.address, Version::One, request, "{}").await.status, 415);
}

#[tokio::test]
async fn settings_change_leaves_an_event_that_names_the_settings() {
    let server = TestServer::open().await;
    let (path, _) = made(&server).await;
    let before = server.world.memory.events().len();
    patch(&server, &path, &json!({ "label": "new", "autoRead": false })).await;
    let events = server.world.memory.events().split_off(before);
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].name().as_str(), "session.updated");
    let fields = EventValue::Text("label autoRead".to_owned());
    assert_eq!(events[0].payload.fields(), [("fields".into(), fields)]);
}
