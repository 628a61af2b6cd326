//! Creation, listing and revocation of API keys.

use domain::testing::{CANARY, World};
use http_hyper::wire;
use serde_json::{Value, json};

use crate::{
    client::{Version, ask, send},
    test_server::TestServer,
};

const KEYS: &str = "/api/v1/api-keys";

fn names(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn key_text_is_returned_by_its_creation_only() {
    let server = TestServer::open().await;
    let session = server.linked().await.id;
    let later = 4_102_444_800_000_i64;
    let body = json!({
        "name": "ci",
        "capabilities": ["manage", "read", "read"],
        "expiresAt": later,
        "sessions": [session.as_str(), session.as_str()],
    });
    let made = server.post("acme", KEYS, &body).await;
    assert_eq!(made.status, 201);
    let mut key = made.json();
    assert_eq!(names(&key), names(&serde_json::to_value(wire::NewApiKeyView::sample()).unwrap()));
    let text = key.as_object_mut().unwrap().remove("key").unwrap();
    let (id, text) = (key["id"].as_str().unwrap().to_owned(), text.as_str().unwrap());
    let path = format!("{KEYS}/{id}");
    assert_eq!(made.header("location"), path);
    assert!(text.starts_with(key["prefix"].as_str().unwrap()) && text.ends_with("secret"));
    assert_eq!(key["capabilities"], json!(["read", "manage"]));
    assert_eq!((&key["name"], &key["expiresAt"]), (&json!("ci"), &json!(later)));
    assert_eq!(key["sessions"], json!([session.as_str()]));
    assert_eq!(key["createdByUserId"], "user-of-acme-canary");
    assert_eq!(key["lastUsedAt"], Value::Null);

    let viewed = server.ask("acme", "GET", &path).await;
    let list = server.ask("acme", "GET", KEYS).await;
    assert_eq!(viewed.json(), key);
    assert_eq!(list.json(), json!({ "data": [key], "nextCursor": null }));
    for answer in [&viewed, &list] {
        assert!(!String::from_utf8_lossy(&answer.body).contains("secret"));
    }
    let revoked = server.ask("acme", "DELETE", &path).await;
    assert_eq!((revoked.status.as_u16(), revoked.body.len()), (204, 0));
    for method in ["DELETE", "GET"] {
        assert_eq!(server.ask("acme", method, &path).await.status, 404);
    }
    assert_eq!(server.ask("acme", "GET", KEYS).await.json()["data"], json!([]));
}

/// The answer does not show that the body has faults.
#[tokio::test]
async fn missing_right_to_grant_is_403_also_for_an_invalid_body() {
    let server = TestServer::open().await;
    let valid = json!({ "name": "k", "capabilities": ["send"] });
    let reference = server.post("manager", KEYS, &valid).await;
    assert_eq!((reference.status.as_u16(), reference.code().as_str()), (403, "forbidden"));
    let before = server.fingerprint();
    for (name, value) in [
        ("name", json!(7)),
        ("name", Value::Null),
        ("capabilities", json!(["send", "fly"])),
        ("expiresAt", json!(1)),
        ("sessions", json!(["x"])),
        ("unknown", json!(true)),
    ] {
        let mut body = valid.clone();
        body[name] = value;
        assert_eq!(server.post("acme", KEYS, &body).await.status, 400, "{body}");
        let refused = server.post("manager", KEYS, &body).await;
        assert_eq!(refused.comparable(), reference.comparable(), "{body}");
    }
    assert_eq!(server.fingerprint(), before);
}

#[tokio::test]
async fn key_cannot_exceed_its_creators_capabilities() {
    let server = TestServer::open().await;
    let mine = server.linked().await.id;
    let before = server.fingerprint();
    let stronger = json!({ "name": "k", "capabilities": ["manage", "send"] });
    let nonsense = json!({ "name": 7, "capabilities": ["send"], "sessions": ["x"] });
    for body in [&stronger, &nonsense] {
        let refused = server.post("manager", KEYS, body).await;
        assert_eq!((refused.status.as_u16(), refused.code().as_str()), (403, "forbidden"));
    }
    let confined = format!("only-{mine}");
    let equal = json!({ "name": "k", "capabilities": ["manage"] });
    for body in [&equal, &json!(7)] {
        assert_eq!(server.post(&confined, KEYS, body).await.status, 403);
        assert_eq!(server.post("member", KEYS, body).await.status, 403);
    }
    assert_eq!(server.fingerprint(), before);
    assert_eq!(server.post("manager", KEYS, &equal).await.status, 201);
}

#[tokio::test]
async fn confined_caller_cannot_see_or_revoke_keys() {
    let server = TestServer::open().await;
    let (mine, key) = (server.linked().await.id, server.key().await.id);
    let before = server.fingerprint();
    for (method, path) in [
        ("GET", KEYS.to_owned()),
        ("GET", format!("{KEYS}/{key}")),
        ("DELETE", format!("{KEYS}/{key}")),
    ] {
        let refused = server.ask(&format!("only-{mine}"), method, &path).await;
        assert_eq!((refused.status.as_u16(), refused.code().as_str()), (403, "forbidden"));
    }
    assert_eq!(server.fingerprint(), before);
}

#[tokio::test]
async fn unknown_session_of_a_key_is_one_fault() {
    let server = TestServer::open().await;
    let hidden = server.linked().await.id.as_str().to_owned();
    let deleted = server.linked().await.id.as_str().to_owned();
    server.world.sessions.delete(&World::acme(), &deleted, None).await.unwrap();
    let settings = domain::Settings::default();
    let mine =
        server.world.sessions.create(&World::zeta(), settings, false, None).await.unwrap().id;
    let before = server.fingerprint();
    let never = domain::SessionId::from_bits(9 << 100);
    let body = json!({
        "name": "",
        "capabilities": [],
        "sessions": [hidden, mine.as_str(), deleted, never.as_str(), "no such id", ""],
    });
    let answer = server.post("zeta", KEYS, &body).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "validation_error"));
    let fields = answer.json()["error"]["details"]["fields"].clone();
    let mut reasons: Vec<_> =
        fields.as_array().unwrap().iter().skip(2).map(|fault| &fault["reason"]).collect();
    reasons.dedup();
    assert_eq!(reasons.len(), 1);
    assert_eq!(
        answer.faults(),
        [
            "/name",
            "/capabilities",
            "/sessions/0",
            "/sessions/2",
            "/sessions/3",
            "/sessions/4",
            "/sessions/5"
        ]
    );
    assert!(!String::from_utf8_lossy(&answer.body).contains(CANARY));
    assert_eq!(server.fingerprint(), before);
    let body = json!({ "name": "k", "capabilities": ["read"], "sessions": [mine.as_str()] });
    assert_eq!(server.post("zeta", KEYS, &body).await.status, 201);
}

#[tokio::test]
async fn key_expiry_must_be_in_the_future() {
    let server = TestServer::open().await;
    for at in [json!(0), json!(-1), json!("soon"), json!(1.5), json!(u64::MAX)] {
        let body = json!({ "name": "k", "capabilities": ["read"], "expiresAt": at });
        let answer = server.post("acme", KEYS, &body).await;
        assert_eq!((answer.status.as_u16(), answer.faults()), (400, vec!["/expiresAt".to_owned()]));
    }
}

#[tokio::test]
async fn key_list_is_newest_first_page_by_page() {
    let server = TestServer::open().await;
    let mut expected = Vec::new();
    for _ in 0..5 {
        expected.insert(0, server.key().await.id.as_str().to_owned());
    }
    let (mut found, mut path) = (Vec::new(), format!("{KEYS}?limit=2"));
    let mut sizes = Vec::new();
    loop {
        let page = server.ask("acme", "GET", &path).await.json();
        let data = page["data"].as_array().unwrap().clone();
        sizes.push(data.len());
        found.extend(data.iter().map(|key| key["id"].as_str().unwrap().to_owned()));
        match page["nextCursor"].as_str() {
            Some(cursor) => path = format!("{KEYS}?cursor={cursor}&limit=2"),
            None => break,
        }
    }
    assert_eq!((sizes, found), (vec![2, 2, 1], expected));
    // A cursor of one list is invalid in another list.
    let page = server.ask("acme", "GET", &format!("{KEYS}?limit=1")).await.json();
    let cursor = page["nextCursor"].as_str().unwrap();
    for (caller, path) in [("zeta", KEYS), ("acme", "/api/v1/sessions")] {
        let answer = server.ask(caller, "GET", &format!("{path}?cursor={cursor}")).await;
        assert_eq!((answer.status.as_u16(), answer.faults()), (400, vec!["cursor".to_owned()]));
    }
}

#[tokio::test]
async fn key_of_another_organization_equals_a_missing_key() {
    let server = TestServer::open().await;
    let hidden = server.key().await.id;
    let revoked = server.key().await.id;
    server.world.keys.revoke(&World::acme(), revoked.as_str()).await.unwrap();
    let before = server.fingerprint();
    for method in ["GET", "DELETE"] {
        let mut answers = Vec::new();
        for id in [hidden.as_str(), revoked.as_str(), "key_never", "%ff"] {
            answers.push(server.ask("zeta", method, &format!("{KEYS}/{id}")).await);
        }
        assert_eq!(answers[0].status, 404);
        for answer in &answers {
            assert_eq!(answer.comparable(), answers[0].comparable());
        }
    }
    assert_eq!(server.fingerprint(), before);
}

#[tokio::test]
async fn entity_tag_never_matches_a_key() {
    let server = TestServer::open().await;
    let path = format!("{KEYS}/{}", server.key().await.id);
    assert_eq!(server.ask("acme", "GET", &path).await.header("etag"), "");
    for (expected, status) in [("\"1\"", 412), ("nonsense", 400), ("*", 204), ("\"1\"", 404)] {
        let request = ask("DELETE", &path).header("x-api-key", "acme").header("if-match", expected);
        assert_eq!(
            send(server.address, Version::One, request, "").await.status,
            status,
            "{expected}"
        );
    }
}
