//! Tests of `GET /api/v1/whoami`, for every kind of credential.

use serde_json::{Value, json};

use crate::{
    client::BOTH,
    test_server::{EXPIRY, TestServer},
};

const WHOAMI: &str = "/api/v1/whoami";

#[tokio::test]
async fn whoami_states_the_caller_of_every_credential() {
    let server = TestServer::open().await;
    let session = server.linked().await.id;
    let (key_1, key_3) = ("key_00000000000000000000000001", "key_00000000000000000000000003");
    let (acme, everything) = ("acme-canary", json!(["read", "send", "manage"]));
    let person = |capabilities: &Value, organization: Option<&str>, role: Option<&str>| {
        json!({
            "kind": "login_token",
            "browserSession": false,
            "subject": "user-of-acme-canary",
            "organizationId": organization,
            "capabilities": capabilities,
            "sessions": null,
            "platformRole": role,
            "expiresAt": null,
        })
    };
    let key = |id: &str, capabilities: &Value, sessions: Value, expires_at: Option<i64>| {
        json!({
            "kind": "api_key",
            "browserSession": false,
            "subject": id,
            "organizationId": acme,
            "capabilities": capabilities,
            "sessions": sessions,
            "platformRole": null,
            "expiresAt": expires_at,
        })
    };
    for (caller, expected) in [
        ("acme", person(&everything, Some(acme), None)),
        ("member", person(&json!(["read", "send"]), Some(acme), None)),
        ("guest", person(&json!([]), Some(acme), None)),
        ("platform", person(&json!([]), Some(acme), Some("super_admin"))),
        ("operator", person(&everything, None, Some("super_admin"))),
        ("reader", key(key_3, &json!(["read", "send"]), Value::Null, None)),
        (
            &format!("only-{session}"),
            key(key_1, &everything, json!([session.as_str()]), Some(EXPIRY)),
        ),
    ] {
        for version in BOTH {
            let answer = server.say(version, caller, "GET", WHOAMI, None).await;
            answer.assert_well_formed(caller);
            assert_eq!(
                (answer.status.as_u16(), answer.json()),
                (200, expected.clone()),
                "{caller}"
            );
            assert_eq!(answer.header("etag"), "");
        }
    }
}

#[tokio::test]
async fn whoami_shows_a_token_without_subject() {
    let server = TestServer::open().await;
    let answer = server.ask("nameless", "GET", WHOAMI).await.json();
    assert_eq!((&answer["kind"], &answer["subject"]), (&json!("login_token"), &Value::Null));
}

#[tokio::test]
async fn whoami_needs_one_accepted_credential() {
    let server = TestServer::open().await;
    let elsewhere = server.ask("", "GET", "/api/v1/sessions").await;
    for caller in ["", "unknown", "expired", "revoked"] {
        let answer = server.ask(caller, "GET", WHOAMI).await;
        assert_eq!(answer.status, 401, "{caller}");
        assert_eq!(answer.comparable(), elsewhere.comparable(), "{caller}");
    }
}
