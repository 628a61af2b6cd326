//! The cookie of a browser session as a credential: where it counts, and when it ends.

use std::time::Duration;

use domain::{ports::Environment as _, testing::World};
use http_hyper::{Api, ApiDependencies, BrowserDependencies, Limits, PublicUrl, Rates};
use serde_json::{Value, json};

use crate::{
    browser::{self, Browser, ORIGIN},
    client::{Version, ask, send},
    event_client::EventClient,
    realtime,
    test_server::{TestServer, backing, listen},
};

const SESSIONS: &str = "/api/v1/sessions";
const WHOAMI: &str = "/api/v1/whoami";

#[tokio::test]
async fn cookie_counts_in_requests_of_own_pages_only() {
    let server = TestServer::open().await;
    let browser = Browser::logged_in(&server, "acme").await;
    let anonymous = server.ask("", "GET", SESSIONS).await;
    for method in ["GET", "POST"] {
        for headers in [
            &[("sec-fetch-site", "same-origin")][..],
            &[("origin", ORIGIN)],
            &[("sec-fetch-site", "same-origin"), ("origin", "https://other.test")],
        ] {
            let answer = browser.send_as(method, SESSIONS, "", headers).await;
            assert!(answer.status.is_success(), "{method} {headers:?}: {answer:?}");
        }
        for headers in [
            &[][..],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "none")],
            &[("sec-fetch-site", "cross-site"), ("origin", ORIGIN)],
            &[("origin", "https://evil.test")],
            &[("origin", "https://sub.berth.test")],
            &[("origin", "http://berth.test")],
            &[("origin", "null")],
            &[("referer", "https://berth.test/ui/")],
        ] {
            let answer = browser.send_as(method, SESSIONS, "", headers).await;
            assert_eq!(answer.status, 401, "{method} {headers:?}");
            assert_eq!(answer.comparable(), anonymous.comparable(), "{method} {headers:?}");
        }
    }
    let stream = browser.send_as("GET", "/api/v1/events", "", &[("sec-fetch-site", "none")]).await;
    assert_eq!(stream.comparable(), anonymous.comparable());
    assert_eq!(browser.status("GET", "/api/v1/events").await, 200);
}

#[tokio::test]
async fn header_credential_wins_over_the_cookie() {
    let server = TestServer::open().await;
    let browser = Browser::logged_in(&server, "acme").await;
    for (header, expected) in [("Bearer zeta", 200), ("Bearer revoked", 401), ("Basic x", 401)] {
        let headers = [("authorization", header), ("sec-fetch-site", "same-origin")];
        let answer = browser.send_as("GET", WHOAMI, "", &headers).await;
        assert_eq!(answer.status, expected, "{header}");
        if expected == 200 {
            assert_eq!(answer.json()["organizationId"], "zeta");
            assert_eq!(answer.json()["browserSession"], false);
        }
    }
    let headers = [("x-api-key", "zeta"), ("sec-fetch-site", "cross-site")];
    assert_eq!(browser.send_as("GET", WHOAMI, "", &headers).await.status, 200);
}

#[tokio::test]
async fn whoami_states_the_browser_session() {
    let server = TestServer::open().await;
    let browser = Browser::logged_in(&server, "acme").await;
    let week = server.world.environment.now().millis() + 7 * 86_400_000;
    let answer = browser.send("GET", WHOAMI, "").await.json();
    assert_eq!(
        answer,
        json!({
            "kind": "login_token",
            "browserSession": true,
            "subject": "user-of-acme-canary",
            "organizationId": "acme-canary",
            "capabilities": ["read", "send", "manage"],
            "sessions": null,
            "platformRole": null,
            "expiresAt": week,
        })
    );
    let key = server.key().await.id;
    let browser = Browser::logged_in(&server, key.as_str()).await;
    let answer = browser.send("GET", WHOAMI, "").await.json();
    assert_eq!((&answer["kind"], &answer["subject"]), (&json!("api_key"), &json!(key.as_str())));
    assert_eq!(answer["capabilities"], json!(["read"]), "the rights of the key");
    server.world.environment.advance(Duration::from_secs(60));
    assert_eq!(browser.status("GET", WHOAMI).await, 200);
    let shown = server.ask("acme", "GET", &format!("/api/v1/api-keys/{key}")).await.json();
    assert_eq!(shown["lastUsedAt"], server.world.environment.now().millis());
}

#[tokio::test]
async fn malformed_and_unknown_cookies_are_one_refusal() {
    let server = TestServer::open().await;
    let anonymous = server.ask("", "GET", SESSIONS).await;
    let mut browser = Browser::logged_in(&server, "acme").await;
    let good = browser.cookie.clone();
    let secret = good.split_once('=').unwrap().1.to_owned();
    for cookie in [
        format!("__Host-berth={}", "A".repeat(43)),
        format!("__Host-berth={secret}A"),
        format!("__Host-berth={}", &secret[1..]),
        "__Host-berth=".to_owned(),
        format!("berth={secret}"),
        format!("{good}; {good}"),
        "a=b".to_owned(),
    ] {
        browser.cookie.clone_from(&cookie);
        let answer = browser.send("GET", SESSIONS, "").await;
        assert_eq!(answer.comparable(), anonymous.comparable(), "{cookie}");
    }
    browser.cookie = format!("a=b; {good}; c=d");
    assert_eq!(browser.status("GET", SESSIONS).await, 200);
}

#[tokio::test]
async fn session_ends_when_it_is_idle_and_a_week_after_the_login() {
    let server = TestServer::open().await;
    let browser = Browser::logged_in(&server, "acme").await;
    let clock = &server.world.environment;
    for _ in 0..14 {
        clock.advance(Duration::from_hours(11));
        assert_eq!(browser.status("GET", WHOAMI).await, 200);
    }
    clock.advance(Duration::from_hours(13));
    assert_eq!(browser.status("GET", WHOAMI).await, 401, "after 167 hours, idle for 13");

    let browser = Browser::logged_in(&server, "acme").await;
    clock.advance(Duration::from_hours(12));
    assert_eq!(browser.status("GET", WHOAMI).await, 401, "idle for 12 hours");

    let browser = Browser::logged_in(&server, "acme").await;
    for _ in 0..16 {
        clock.advance(Duration::from_hours(10));
        assert_eq!(browser.status("GET", WHOAMI).await, 200);
    }
    clock.advance(Duration::from_hours(8));
    assert_eq!(browser.status("GET", WHOAMI).await, 401, "168 hours after the login");
}

#[tokio::test]
async fn revoked_key_ends_its_sessions_at_once() {
    let server = TestServer::open().await;
    let key = server.key().await.id;
    let browser = Browser::logged_in(&server, key.as_str()).await;
    assert_eq!(browser.status("GET", WHOAMI).await, 200);
    server.world.keys.revoke(&World::acme(), key.as_str()).await.unwrap();
    assert_eq!(browser.status("GET", WHOAMI).await, 401);
    let again = Browser::new(&server).log_in(key.as_str()).await;
    assert_eq!(again.status, 401);
}

#[tokio::test]
async fn stream_of_a_browser_ends_with_its_session() {
    let server = TestServer::open().await;
    for way in ["logout", "switch"] {
        let browser = Browser::logged_in(&server, "both").await;
        assert_eq!(switch(&browser, "acme-canary").await, 204);
        let headers = [("cookie", browser.cookie.as_str()), ("sec-fetch-site", "same-origin")];
        let mut stream =
            EventClient::with_headers(Version::One, server.address, "", &headers).await;
        assert_eq!(stream.status, 200, "{way}");
        assert!(stream.block().await.is_some());
        let ended = match way {
            "logout" => browser.status("DELETE", "/auth/session").await,
            _ => switch(&browser, "zeta").await,
        };
        assert_eq!(ended, 204);
        stream.rest().await;
    }
}

async fn switch(browser: &Browser<'_>, organization: &str) -> u16 {
    let body = json!({ "organization": organization }).to_string();
    browser.send("POST", "/auth/session:switch", &body).await.status.as_u16()
}

#[tokio::test]
async fn websocket_takes_tickets_and_ends_with_the_session() {
    let server = TestServer::open().await;
    let browser = Browser::logged_in(&server, "acme").await;
    let own = [("sec-fetch-site", "same-origin")];
    let answer = browser.send_as("GET", "/api/v1/realtime", "", &own).await;
    assert_eq!(answer.status, 401, "no cookie opens a WebSocket");

    let answer = browser.send("POST", "/api/v1/realtime/ticket", "").await.json();
    let ticket = answer["ticket"].as_str().unwrap().to_owned();
    let unused = browser.send("POST", "/api/v1/realtime/ticket", "").await.json();
    let unused = unused["ticket"].as_str().unwrap().to_owned();
    let mut socket =
        realtime::connect(server.address, &format!("ticket={ticket}")).await.expect("a WebSocket");
    assert_eq!(browser.status("DELETE", "/auth/session").await, 204);
    assert_eq!(realtime::closed(&mut socket).await.0, 4401);
    let refused = realtime::connect(server.address, &format!("ticket={unused}")).await;
    assert_eq!(refused.err(), Some(401), "a ticket of an ended session");
}

#[tokio::test]
async fn idempotency_keys_and_rates_are_of_one_session() {
    let server = TestServer::open().await;
    let (one, two) =
        (Browser::logged_in(&server, "acme").await, Browser::logged_in(&server, "acme").await);
    let create = async |browser: &Browser<'_>| {
        let headers = [("sec-fetch-site", "same-origin"), ("idempotency-key", "k")];
        let answer = browser.send_as("POST", SESSIONS, "", &headers).await;
        assert_eq!(answer.status, 201);
        (answer.json()["id"].clone(), answer.header("idempotency-replayed").to_owned())
    };
    let (first, replayed) = create(&one).await;
    assert_eq!(replayed, "");
    assert_eq!(create(&one).await, (first.clone(), "true".to_owned()));
    let (other, replayed) = create(&two).await;
    assert_eq!(replayed, "");
    assert_ne!(other, first);

    let rates = Rates { credential: std::num::NonZeroU32::new(3), organization: None };
    let backing = backing(&server.world, &server.authenticator, &server.checks);
    let api = Api::new(ApiDependencies { rates, ..backing });
    let (address, _stop, _) = listen(api.public(Limits::default())).await;
    let status = async |browser: &Browser<'_>| {
        let request = ask("GET", WHOAMI)
            .header("cookie", &browser.cookie)
            .header("sec-fetch-site", "same-origin");
        send(address, Version::One, request, "").await.status.as_u16()
    };
    for expected in [200, 200, 200, 429] {
        assert_eq!(status(&one).await, expected);
    }
    assert_eq!(status(&two).await, 200, "another session of the person");
}

#[tokio::test]
async fn without_ui_there_are_no_cookies_and_no_logins() {
    let server = TestServer::open().await;
    let browser = Browser::logged_in(&server, "acme").await;
    let backing = backing(&server.world, &server.authenticator, &server.checks);
    let browser_dependencies =
        BrowserDependencies { enabled: false, ..browser::dependencies(&server.world) };
    let api = Api::new(ApiDependencies { browser: browser_dependencies, ..backing });
    let (address, _stop, _) = listen(api.public(Limits::default())).await;
    let status = async |method: &str, path: &str| {
        let request = ask(method, path)
            .header("cookie", &browser.cookie)
            .header("sec-fetch-site", "same-origin");
        send(address, Version::One, request, "").await.status.as_u16()
    };
    assert_eq!(status("GET", SESSIONS).await, 401);
    for path in ["/auth/session", "/auth/options", "/auth/login", "/auth/callback"] {
        assert_eq!(status("GET", path).await, 404, "{path}");
    }
    for path in ["/auth/session", "/auth/session:switch", "/auth/handover"] {
        assert_eq!(status("POST", path).await, 404, "{path}");
    }
}

#[tokio::test]
async fn cookie_of_a_loopback_url_has_a_plain_name() {
    let server = TestServer::open().await;
    let backing = backing(&server.world, &server.authenticator, &server.checks);
    let public_url = PublicUrl::parse("http://localhost:8080").unwrap();
    let browser = BrowserDependencies { public_url, ..browser::dependencies(&server.world) };
    let api = Api::new(ApiDependencies { browser, ..backing });
    let (address, _stop, _) = listen(api.public(Limits::default())).await;
    let log_in = async |origin: &str| {
        let request = ask("POST", "/auth/session")
            .header("sec-fetch-site", "same-origin")
            .header("origin", origin)
            .header("content-type", "application/json");
        send(address, Version::One, request, r#"{"credential":"acme"}"#).await
    };
    for origin in ["http://localhost:8080", "http://127.0.0.1:9000"] {
        let answer = log_in(origin).await;
        assert_eq!(answer.status, 204);
        let cookie = answer.header("set-cookie");
        assert!(cookie.starts_with("berth=") && !cookie.contains("Secure"), "{cookie}");
        let cookie = cookie.split(';').next().unwrap();
        let request =
            ask("GET", WHOAMI).header("cookie", cookie).header("sec-fetch-site", "same-origin");
        assert_eq!(send(address, Version::One, request, "").await.status, 200);
    }
    // A proxy with TLS in front, of which the operator has not told berth.
    for origin in ["https://wa.test", "http://10.0.0.1:8080"] {
        let answer = log_in(origin).await;
        assert_eq!((answer.status.as_u16(), answer.faults()), (400, vec!["Origin".to_owned()]));
        assert_eq!(answer.header("set-cookie"), "");
    }
}

#[tokio::test]
async fn gateways_are_listed_for_operators() {
    let server = TestServer::open().await;
    let path = "/api/v1/admin/gateways";
    let answer = server.ask("operator", "GET", path).await;
    let gateway = |up: bool| {
        json!({ "data": [{
            "id": "gw-test", "up": up, "sessions": 0, "capacity": 100, "version": "test",
            "lastHeartbeatAt": 1_767_254_400_000_i64,
        }], "nextCursor": Value::Null })
    };
    assert_eq!((answer.status.as_u16(), answer.json()), (200, gateway(true)));
    server.world.environment.advance(Duration::from_secs(31));
    assert_eq!(server.ask("operator", "GET", path).await.json(), gateway(false));
    for caller in ["acme", "manager", "browser"] {
        assert_eq!(server.ask(caller, "GET", path).await.status, 403, "{caller}");
    }
    let browser = Browser::logged_in(&server, "operator").await;
    assert_eq!(browser.status("GET", path).await, 200, "the platform role of the token");
}
