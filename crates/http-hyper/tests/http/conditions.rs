//! Conditional requests: `If-None-Match` avoids bodies, and `If-Match` rejects outdated changes.

use domain::testing::World;
use serde_json::json;

use crate::{
    client::{BOTH, ReceivedResponse, Version, ask, send},
    test_server::TestServer,
};

const SESSIONS: &str = "/api/v1/sessions";

async fn given(
    server: &TestServer,
    version: Version,
    caller: &str,
    (method, path): (&str, &str),
    headers: &[(&str, &str)],
) -> ReceivedResponse {
    let mut request = ask(method, path).header("x-api-key", caller);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = if method == "PATCH" { r#"{"label":"changed"}"# } else { "" };
    let request = request.header("content-type", "application/json");
    let answer = send(server.address, version, request, body).await;
    answer.assert_well_formed(path);
    answer
}

#[tokio::test]
async fn session_responses_have_their_version_as_entity_tag() {
    let server = TestServer::open().await;
    let id = server.linked().await.id;
    let path = format!("{SESSIONS}/{id}");
    let mut answers = vec![server.ask("acme", "POST", SESSIONS).await];
    for verb in ["stop", "start", "restart", "logout"] {
        answers.push(server.ask("acme", "POST", &format!("{path}:{verb}")).await);
        server.reconciler.round().await;
    }
    answers.push(server.say(Version::One, "acme", "PATCH", &path, Some(&json!({}))).await);
    answers.push(server.ask("acme", "GET", &path).await);
    for answer in answers {
        assert!(answer.status.is_success());
        assert_eq!(answer.header("etag"), format!("\"{}\"", answer.json()["version"]));
    }
    let head = server.ask("acme", "HEAD", &path).await;
    assert_eq!(head.header("etag"), server.ask("acme", "GET", &path).await.header("etag"));
    let pairing = server.pairing().await.id;
    for untagged in [SESSIONS.to_owned(), format!("{SESSIONS}/{pairing}/qr"), format!("{path}/me")]
    {
        assert_eq!(server.ask("acme", "GET", &untagged).await.header("etag"), "", "{untagged}");
    }
}

#[tokio::test]
async fn cached_response_is_304() {
    let server = TestServer::open().await;
    let path = format!("{SESSIONS}/{}", server.linked().await.id);
    let tag = server.ask("acme", "GET", &path).await.header("etag").to_owned();
    for version in BOTH {
        for method in ["GET", "HEAD"] {
            for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()]
            {
                let headers = [("if-none-match", known.as_str())];
                let answer = given(&server, version, "acme", (method, &path), &headers).await;
                assert_eq!((answer.status.as_u16(), answer.body.len()), (304, 0), "{known}");
                assert_eq!(answer.header("etag"), tag);
                assert_eq!(
                    (answer.header("content-type"), answer.header("content-length")),
                    ("", "")
                );
            }
            for other in ["\"0\"", "nonsense"] {
                let headers = [("if-none-match", other)];
                let answer = given(&server, version, "acme", (method, &path), &headers).await;
                assert_eq!(answer.status, 200, "{other}");
            }
        }
    }
    server.say(Version::One, "acme", "PATCH", &path, Some(&json!({ "label": "new" }))).await;
    let headers = [("if-none-match", tag.as_str())];
    let changed = given(&server, Version::One, "acme", ("GET", &path), &headers).await;
    assert_eq!((changed.status.as_u16(), changed.json()["label"].clone()), (200, json!("new")));
}

#[tokio::test]
async fn response_304_needs_read_permission() {
    let server = TestServer::open().await;
    let path = format!("{SESSIONS}/{}", server.linked().await.id);
    for (caller, status) in [("zeta", 404), ("member", 403), ("garbage", 401)] {
        let plain = given(&server, Version::One, caller, ("GET", &path), &[]).await;
        let headers = [("if-none-match", "*")];
        let answer = given(&server, Version::One, caller, ("GET", &path), &headers).await;
        assert_eq!(answer.comparable(), plain.comparable());
        assert_eq!(answer.status, status);
    }
}

#[tokio::test]
async fn update_at_old_version_is_rejected() {
    let server = TestServer::open().await;
    let path = format!("{SESSIONS}/{}", server.linked().await.id);
    let tag = server.ask("acme", "GET", &path).await.header("etag").to_owned();
    let before = server.fingerprint();
    for version in BOTH {
        for method in ["PATCH", "DELETE"] {
            for stale in ["\"1\"", "\"x\"", "\"1\", \"2\"", &format!("W/{tag}"), "\"0\""] {
                let headers = [("if-match", stale)];
                let answer = given(&server, version, "acme", (method, &path), &headers).await;
                assert_eq!(
                    (answer.status.as_u16(), answer.code().as_str()),
                    (412, "precondition_failed"),
                    "{method} {stale}"
                );
            }
        }
    }
    assert_eq!(server.fingerprint(), before);
    let several = [("if-match", "\"1\""), ("if-match", tag.as_str())];
    let patched = given(&server, Version::One, "acme", ("PATCH", &path), &several).await;
    assert_eq!((patched.status.as_u16(), patched.json()["label"].clone()), (200, json!("changed")));
    let anything = [("if-match", "*")];
    assert_eq!(given(&server, Version::Two, "acme", ("PATCH", &path), &anything).await.status, 200);
    let current = [("if-match", patched.header("etag"))];
    assert_eq!(given(&server, Version::Two, "acme", ("DELETE", &path), &current).await.status, 204);
}

#[tokio::test]
async fn malformed_if_match_is_reported_with_the_other_faults() {
    let server = TestServer::open().await;
    let path = format!("{SESSIONS}/{}", server.linked().await.id);
    let before = server.fingerprint();
    for method in ["PATCH", "DELETE"] {
        for bad in ["7", "", "\"7", "*, \"7\""] {
            let headers = [("if-match", bad)];
            let answer = given(&server, Version::One, "acme", (method, &path), &headers).await;
            assert_eq!(
                (answer.status.as_u16(), answer.faults()),
                (400, vec!["If-Match".to_owned()]),
                "{bad}"
            );
            assert_eq!(answer.json()["error"]["details"]["fields"][0]["parameter"], "If-Match");
        }
    }
    let request = ask("PATCH", &format!("{path}?x=1")).header("x-api-key", "acme");
    let request = request.header("content-type", "application/json").header("if-match", "7");
    let answer = send(server.address, Version::One, request, r#"{"autoRead":null}"#).await;
    let mut faults = answer.faults();
    faults.sort();
    assert_eq!(faults, ["/autoRead", "If-Match", "x"]);
    assert_eq!(server.fingerprint(), before);
}

#[tokio::test]
async fn if_match_reveals_nothing_to_other_organizations() {
    let server = TestServer::open().await;
    let hidden = server.linked().await.id.as_str().to_owned();
    let current = server.ask("acme", "GET", &format!("{SESSIONS}/{hidden}")).await;
    let other = server.linked().await.id;
    let deleted = server.linked().await.id.as_str().to_owned();
    server.world.sessions.delete(&World::acme(), &deleted, None).await.unwrap();
    let before = server.fingerprint();
    for expected in [current.header("etag"), "\"0\"", "*", "W/\"1\"", "\"1\", \"2\"", "nonsense"] {
        for method in ["PATCH", "DELETE"] {
            for caller in ["zeta".to_owned(), format!("only-{other}")] {
                let headers = [("if-match", expected)];
                let mut answers = Vec::new();
                for id in [hidden.as_str(), deleted.as_str(), "no-such-name"] {
                    let path = format!("{SESSIONS}/{id}");
                    let to = (method, path.as_str());
                    answers.push(given(&server, Version::One, &caller, to, &headers).await);
                }
                let status = if expected == "nonsense" { 400 } else { 404 };
                assert_eq!(answers[0].status, status, "{method} {expected} {caller}");
                assert_eq!(answers[0].comparable(), answers[1].comparable());
                assert_eq!(answers[0].comparable(), answers[2].comparable());
            }
        }
    }
    assert_eq!(server.fingerprint(), before);
}
