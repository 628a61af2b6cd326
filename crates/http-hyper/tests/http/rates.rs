//! Request rates: 429 precedes every other check and reveals nothing about the requested object.

use std::{num::NonZeroU32, time::Duration};

use http_hyper::{Api, ApiDependencies, Limits, Rates};
use serde_json::json;

use crate::{
    client::{BOTH, ReceivedResponse, Version, ask, send},
    test_server::{TestServer, backing, listen},
};

const SESSIONS: &str = "/api/v1/sessions";

/// Starts another router over the stores of the test server, with these rates.
async fn throttled(
    server: &TestServer,
    credential: u32,
    organization: u32,
) -> std::net::SocketAddr {
    let rates = Rates {
        credential: NonZeroU32::new(credential),
        organization: NonZeroU32::new(organization),
    };
    let backing = backing(&server.world, &server.authenticator, &server.checks);
    let api = Api::new(ApiDependencies { rates, ..backing });
    let (address, stop, _) = listen(api.public(Limits::default())).await;
    // The router runs until the test ends.
    drop(stop);
    address
}

async fn get(to: std::net::SocketAddr, caller: &str, path: &str) -> ReceivedResponse {
    let request = ask("GET", path).header("authorization", format!("Bearer {caller}"));
    send(to, Version::One, request, "").await
}

fn assert_throttled(answer: &ReceivedResponse, quota: &str, count: u32, window: u32) {
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (429, "rate_limited"));
    let wait: u32 = answer.header("retry-after").parse().unwrap();
    assert!((1..=window).contains(&wait), "{wait}");
    assert_eq!(answer.header("ratelimit-policy"), format!("\"{quota}\";q={count};w={window}"));
    assert_eq!(answer.header("ratelimit"), format!("\"{quota}\";r=0;t={wait}"));
    answer.assert_well_formed("throttled");
}

#[tokio::test]
async fn credential_above_its_rate_is_rejected_on_every_operation() {
    let server = TestServer::open().await;
    let mine = server.linked().await.id;
    let router = throttled(&server, 5, 0).await;
    for _ in 0..5 {
        assert_eq!(get(router, "acme", SESSIONS).await.status, 200);
    }
    let before = server.fingerprint();
    let refused = get(router, "acme", SESSIONS).await;
    assert_throttled(&refused, "credential", 5, 60);
    for version in BOTH {
        for (method, path, body) in [
            ("GET", format!("{SESSIONS}/{mine}"), ""),
            ("GET", format!("{SESSIONS}/sess_none"), ""),
            ("DELETE", format!("{SESSIONS}/{mine}"), ""),
            ("POST", SESSIONS.to_owned(), "not JSON"),
        ] {
            let request = ask(method, &path)
                .header("authorization", "Bearer acme")
                .header("content-type", "application/json");
            let answer = send(router, version, request, body).await;
            assert_eq!(answer.body, refused.body, "{method} {path}");
            assert_eq!(answer.status, 429);
        }
    }
    assert_eq!(server.fingerprint(), before);
    // Other credentials, anonymous requests and probes are not affected.
    assert_eq!(get(router, "manager", SESSIONS).await.status, 200);
    assert_eq!(get(router, "zeta", SESSIONS).await.status, 200);
    for _ in 0..20 {
        assert_eq!(get(router, "garbage", SESSIONS).await.status, 401);
        assert_eq!(get(router, "acme", "/livez").await.status, 200);
    }
}

#[tokio::test]
async fn organization_rate_counts_all_its_credentials() {
    let server = TestServer::open().await;
    let router = throttled(&server, 0, 4).await;
    for caller in ["acme", "manager", "member", "reader"] {
        let status = get(router, caller, SESSIONS).await.status.as_u16();
        assert!(matches!(status, 200 | 403), "{status}");
    }
    for caller in ["acme", "manager", "member"] {
        assert_throttled(&get(router, caller, SESSIONS).await, "organization", 4, 60);
    }
    for _ in 0..4 {
        assert_eq!(get(router, "zeta", SESSIONS).await.status, 200);
    }
    assert_throttled(&get(router, "zeta", SESSIONS).await, "organization", 4, 60);
}

#[tokio::test]
async fn session_has_ten_pairing_attempts_per_hour() {
    let server = TestServer::open().await;
    let id = server.world.acme_session().await.id;
    let (qr, stop) = (format!("{SESSIONS}/{id}/qr"), format!("{SESSIONS}/{id}:stop"));
    for attempt in 0..10 {
        for _ in 0..3 {
            let code = server.ask("acme", "GET", &qr).await;
            assert_eq!(code.status, 200, "attempt {attempt}: looking again begins nothing");
        }
        assert_eq!(server.ask("acme", "POST", &stop).await.status, 200);
    }
    let before = server.world.memory.fingerprint();
    let phone = json!({ "phone": "15551234567" });
    for refused in [
        server.ask("acme", "GET", &qr).await,
        server.post("acme", &format!("{SESSIONS}/{id}/pairing-code"), &phone).await,
    ] {
        assert_throttled(&refused, "pairing", 10, 3600);
    }
    assert_eq!(server.world.memory.fingerprint(), before);
    // Other organizations learn nothing, and another session has a count of its own.
    assert_eq!(server.ask("zeta", "GET", &qr).await.status, 404);
    let other = server.world.acme_session().await.id;
    assert_eq!(server.ask("acme", "GET", &format!("{SESSIONS}/{other}/qr")).await.status, 200);
    server.world.environment.advance(Duration::from_secs(3600));
    assert_eq!(server.ask("acme", "GET", &qr).await.status, 200);
}

#[tokio::test]
async fn pairing_codes_for_other_phones_count_as_attempts() {
    let server = TestServer::open().await;
    let id = server.world.acme_session().await.id;
    let at = format!("{SESSIONS}/{id}/pairing-code");
    let ask_for = |n: usize| json!({ "phone": format!("1555123456{n}") });
    for n in 0..10 {
        for _ in 0..2 {
            assert_eq!(server.post("acme", &at, &ask_for(n % 10)).await.status, 200, "{n}");
        }
    }
    assert_throttled(&server.post("acme", &at, &ask_for(3)).await, "pairing", 10, 3600);
    assert_eq!(
        server.post("acme", &at, &ask_for(9)).await.status,
        200,
        "the same again is no other"
    );
}

#[tokio::test]
async fn pairing_attempts_of_a_phone_count_across_sessions() {
    let server = TestServer::open().await;
    let ask = async |caller: &str| {
        let made = server.post(caller, SESSIONS, &json!({})).await.json();
        let path = format!("{SESSIONS}/{}/pairing-code", made["id"].as_str().unwrap());
        let answer = server.post(caller, &path, &json!({ "phone": "15551234567" })).await;
        let path = format!("{SESSIONS}/{}", made["id"].as_str().unwrap());
        assert_eq!(server.ask(caller, "DELETE", &path).await.status, 204);
        answer
    };
    for n in 0..10 {
        assert_eq!(ask("acme").await.status, 200, "{n}");
    }
    assert_throttled(&ask("acme").await, "pairing", 10, 3600);
    assert_eq!(ask("zeta").await.status, 200, "another organization learns nothing of it");
    server.world.environment.advance(Duration::from_secs(3600));
    assert_eq!(ask("acme").await.status, 200);
}
