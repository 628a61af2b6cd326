//! Logins of browsers by a credential or by another page, the choice of the organization, and the logout.

use std::time::Duration;

use domain::ports::Environment as _;
use serde_json::json;

use crate::{
    browser::{Browser, FRONTEND, ORIGIN},
    test_server::{SECRET_CAUSE, TestServer},
};

const SESSION: &str = "/auth/session";
const HOUR: i64 = 3_600_000;
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

#[tokio::test]
async fn login_sets_a_cookie_that_scripts_and_other_sites_cannot_use() {
    let server = TestServer::open().await;
    let answer = Browser::new(&server).log_in("  acme\n").await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0));
    let cookie = answer.header("set-cookie");
    let (secret, attributes) = cookie.split_once("; ").unwrap();
    assert_eq!(attributes, "Max-Age=604800; Path=/; Secure; HttpOnly; SameSite=Strict");
    assert_eq!(secret.strip_prefix("__Host-berth=").unwrap().len(), 43);
    assert_eq!(answer.header("cache-control"), "no-store");
    let stored = server.world.memory.fingerprint();
    assert!(!stored.contains(secret.strip_prefix("__Host-berth=").unwrap()));
}

#[tokio::test]
async fn login_needs_a_request_of_an_own_page() {
    let server = TestServer::open().await;
    let browser = Browser::new(&server);
    let before = server.fingerprint();
    let body = r#"{"credential":"acme"}"#;
    for headers in [
        &[][..],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("origin", "https://evil.test")],
    ] {
        let answer = browser.send_as("POST", SESSION, body, headers).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (401, "unauthorized"));
        assert_eq!(answer.header("set-cookie"), "", "{headers:?}");
    }
    assert_eq!(server.fingerprint(), before);
    let answer = browser.send_as("POST", SESSION, body, &[("origin", ORIGIN)]).await;
    assert_eq!(answer.status, 204);
}

#[tokio::test]
async fn refused_logins_are_one_response_without_a_cause() {
    let server = TestServer::open().await;
    let anonymous = server.ask("", "GET", "/api/v1/sessions").await;
    for credential in ["unknown", "expired", "revoked", "garbage"] {
        let answer = Browser::new(&server).log_in(credential).await;
        assert_eq!(answer.comparable(), anonymous.comparable(), "{credential}");
        assert!(!format!("{answer:?}").contains(SECRET_CAUSE));
    }
    let answer = Browser::new(&server).log_in("down").await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "unavailable"));
    for (body, field) in [
        ("{}", "/credential"),
        (r#"{"credential":""}"#, "/credential"),
        (r#"{"credential":"a b"}"#, "/credential"),
        (r#"{"credential":7}"#, "/credential"),
        (r#"{"credential":"acme","remember":true}"#, "/remember"),
    ] {
        let answer = Browser::new(&server).send("POST", SESSION, body).await;
        assert_eq!((answer.status.as_u16(), answer.faults()), (400, vec![field.to_owned()]));
    }
}

#[tokio::test]
async fn refused_logins_of_an_address_are_bounded() {
    let server = TestServer::open().await;
    for _ in 0..20 {
        assert_eq!(Browser::new(&server).log_in("unknown").await.status, 401);
    }
    let answer = Browser::new(&server).log_in("acme").await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (429, "rate_limited"));
    assert_eq!(answer.header("retry-after"), "60");
    assert_eq!(answer.header("ratelimit-policy"), "\"logins\";q=20;w=60");
    server.world.environment.advance(Duration::from_secs(60));
    assert_eq!(Browser::new(&server).log_in("acme").await.status, 204);
}

#[tokio::test]
async fn further_login_ends_the_session_before() {
    let server = TestServer::open().await;
    let mut browser = Browser::logged_in(&server, "acme").await;
    let before = Browser { server: &server, cookie: browser.cookie.clone() };
    assert_eq!(browser.log_in("zeta").await.status, 204);
    assert_eq!(before.status("GET", SESSION).await, 401);
    assert_eq!(browser.status("GET", SESSION).await, 200);
}

#[tokio::test]
async fn twenty_sessions_of_a_person_stay() {
    let server = TestServer::open().await;
    let first = Browser::logged_in(&server, "acme").await;
    let other = Browser::logged_in(&server, "zeta").await;
    for n in 1..=20 {
        server.world.environment.advance(Duration::from_secs(1));
        Browser::logged_in(&server, "acme").await;
        // The session of the caller `browser` counts as one of the person.
        assert_eq!(first.status("GET", SESSION).await, if n < 19 { 200 } else { 401 }, "{n}");
    }
    assert_eq!(other.status("GET", SESSION).await, 200);
}

#[tokio::test]
async fn logout_ends_the_session_and_clears_the_cookie() {
    let server = TestServer::open().await;
    let browser = Browser::logged_in(&server, "acme").await;
    for headers in [&[][..], &[("sec-fetch-site", "cross-site")]] {
        assert_eq!(browser.send_as("DELETE", SESSION, "", headers).await.status, 401);
    }
    let answer = browser.send("DELETE", SESSION, "").await;
    assert_eq!(answer.status, 204);
    assert_eq!(
        answer.header("set-cookie"),
        "__Host-berth=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Strict"
    );
    for (method, path) in [("DELETE", SESSION), ("GET", SESSION), ("GET", "/api/v1/whoami")] {
        assert_eq!(browser.status(method, path).await, 401, "{method} {path}");
    }
}

#[tokio::test]
async fn session_shows_its_end_and_its_organizations() {
    let server = TestServer::open().await;
    let now = server.world.environment.now().millis();
    let browser = Browser::logged_in(&server, "acme").await;
    assert_eq!(
        browser.send("GET", SESSION, "").await.json(),
        json!({
            "expiresAt": now + 7 * 24 * HOUR,
            "idleAt": now + 12 * HOUR,
            "organization": "acme-canary",
            "organizations": ["acme-canary"],
        })
    );
    let headers = [("authorization", "Bearer acme"), ("sec-fetch-site", "same-origin")];
    let answer = Browser::new(&server).send_as("GET", SESSION, "", &headers).await;
    assert_eq!(answer.status, 401, "a token has no browser session");
}

#[tokio::test]
async fn person_of_two_organizations_chooses_one() {
    let server = TestServer::open().await;
    let now = server.world.environment.now().millis();
    let browser = Browser::logged_in(&server, "both").await;
    let shown = async || browser.send("GET", SESSION, "").await.json();
    assert_eq!(
        shown().await,
        json!({
            "expiresAt": now + HOUR,
            "idleAt": now + HOUR,
            "organization": null,
            "organizations": ["acme-canary", "zeta"],
        })
    );
    assert_eq!(browser.status("GET", "/api/v1/sessions").await, 403, "no organization yet");
    let switch = async |organization: &str| {
        let body = json!({ "organization": organization }).to_string();
        browser.send("POST", "/auth/session:switch", &body).await
    };
    server.world.acme_session().await;
    for (organization, count) in [("acme-canary", 1), ("zeta", 0), ("acme-canary", 1)] {
        assert_eq!(switch(organization).await.status, 204);
        assert_eq!(shown().await["organization"], organization);
        let list = browser.send("GET", "/api/v1/sessions", "").await.json();
        assert_eq!(list["data"].as_array().unwrap().len(), count, "{organization}");
    }
    let missing = switch("never-was").await;
    for organization in ["acme", "", "../acme", "a\u{0}"] {
        let answer = switch(organization).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (404, "not_found"));
        assert_eq!(answer.comparable(), missing.comparable(), "{organization:?}");
    }
    assert_eq!(shown().await["organization"], "acme-canary");
    server.world.environment.advance(Duration::from_hours(1));
    assert_eq!(browser.status("GET", SESSION).await, 401, "the token has expired");
}

#[tokio::test]
async fn key_cannot_choose_another_organization() {
    let server = TestServer::open().await;
    let browser = Browser::logged_in(&server, server.key().await.id.as_str()).await;
    let body = json!({ "organization": "zeta" }).to_string();
    assert_eq!(browser.send("POST", "/auth/session:switch", &body).await.status, 404);
}

#[tokio::test]
async fn listed_origin_hands_over_a_login() {
    let server = TestServer::open().await;
    let mut browser = Browser::new(&server);
    let form = "credential=acme&return=%2Fui%2Fsessions%3Fstatus%3Dfailed";
    let answer =
        browser.send_as("POST", "/auth/handover", form, &[("origin", FRONTEND), FORM]).await;
    assert_eq!(answer.status, 303, "{answer:?}");
    assert_eq!(answer.header("location"), "/ui/sessions?status=failed");
    browser.keep_cookie(&answer);
    assert_eq!(browser.status("GET", SESSION).await, 200);

    for origin in ["https://evil.test", "https://app.test.evil.test", "null", ORIGIN] {
        let headers = [("origin", origin), FORM];
        let answer = browser.send_as("POST", "/auth/handover", form, &headers).await;
        assert_eq!((answer.status.as_u16(), answer.header("set-cookie")), (401, ""), "{origin}");
    }
    let frontend = [("origin", FRONTEND), FORM];
    for (form, field) in [
        ("credential=acme&return=https%3A%2F%2Fevil.test%2F", "return"),
        ("credential=acme&return=%2F%2Fevil.test", "return"),
        ("return=%2Fui%2F", "/credential"),
        ("credential=acme&credential=zeta", "/credential"),
        ("credential=acme&x=1", "/x"),
    ] {
        let answer = browser.send_as("POST", "/auth/handover", form, &frontend).await;
        assert_eq!((answer.status.as_u16(), answer.faults()), (400, vec![field.to_owned()]));
    }
    let json = [("origin", FRONTEND), ("content-type", "application/json")];
    let answer = browser.send_as("POST", "/auth/handover", "{}", &json).await;
    assert_eq!(answer.status, 415);
    let answer = browser.send_as("POST", "/auth/handover", "credential=revoked", &frontend).await;
    assert_eq!(answer.status, 401);
}
