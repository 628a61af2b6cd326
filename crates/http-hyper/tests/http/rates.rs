//! Too much is told so before anything else is, and tells nothing of what was asked for.

use std::{num::NonZeroU32, time::Duration};

use http_hyper::{Api, Backing, Limits, Rates};
use serde_json::json;

use crate::{
    client::{Answer, BOTH, Version, ask, send},
    house::{House, backing, listen},
};

const SESSIONS: &str = "/api/v1/sessions";

/// Another router over the house's world, with these rates.
async fn throttled(house: &House, credential: u32, organization: u32) -> std::net::SocketAddr {
    let rates = Rates {
        credential: NonZeroU32::new(credential),
        organization: NonZeroU32::new(organization),
    };
    let backing = backing(&house.world, &house.doorman, &house.checks);
    let api = Api::new(Backing { rates, ..backing });
    let (address, stop, _) = listen(api.public(Limits::default())).await;
    // It serves as long as the test lives: nobody tells it to stop.
    drop(stop);
    address
}

async fn get(to: std::net::SocketAddr, caller: &str, path: &str) -> Answer {
    let request = ask("GET", path).header("authorization", format!("Bearer {caller}"));
    send(to, Version::One, request, "").await
}

fn assert_throttled(answer: &Answer, quota: &str, count: u32, window: u32) {
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (429, "rate_limited"));
    let wait: u32 = answer.header("retry-after").parse().unwrap();
    assert!((1..=window).contains(&wait), "{wait}");
    assert_eq!(answer.header("ratelimit-policy"), format!("\"{quota}\";q={count};w={window}"));
    assert_eq!(answer.header("ratelimit"), format!("\"{quota}\";r=0;t={wait}"));
    answer.assert_well_formed("throttled");
}

#[tokio::test]
async fn a_credential_that_asks_too_often_is_told_so_whatever_it_asks() {
    let house = House::open().await;
    let mine = house.linked().await.id;
    let router = throttled(&house, 5, 0).await;
    for _ in 0..5 {
        assert_eq!(get(router, "acme", SESSIONS).await.status, 200);
    }
    let before = house.fingerprint();
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
    assert_eq!(house.fingerprint(), before);
    // Neither another credential, nor nobody, nor a probe is refused for it.
    assert_eq!(get(router, "manager", SESSIONS).await.status, 200);
    assert_eq!(get(router, "zeta", SESSIONS).await.status, 200);
    for _ in 0..20 {
        assert_eq!(get(router, "garbage", SESSIONS).await.status, 401);
        assert_eq!(get(router, "acme", "/livez").await.status, 200);
    }
}

#[tokio::test]
async fn an_organization_is_counted_over_all_its_credentials() {
    let house = House::open().await;
    let router = throttled(&house, 0, 4).await;
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
async fn a_session_begins_ten_attempts_at_linking_in_an_hour() {
    let house = House::open().await;
    let id = house.world.acme_session().await.id;
    let (qr, stop) = (format!("{SESSIONS}/{id}/qr"), format!("{SESSIONS}/{id}:stop"));
    for attempt in 0..10 {
        for _ in 0..3 {
            let code = house.ask("acme", "GET", &qr).await;
            assert_eq!(code.status, 200, "attempt {attempt}: looking again begins nothing");
        }
        assert_eq!(house.ask("acme", "POST", &stop).await.status, 200);
    }
    let before = house.world.memory.fingerprint();
    let phone = json!({ "phone": "15551234567" });
    for refused in [
        house.ask("acme", "GET", &qr).await,
        house.post("acme", &format!("{SESSIONS}/{id}/pairing-code"), &phone).await,
    ] {
        assert_throttled(&refused, "pairing", 10, 3600);
    }
    assert_eq!(house.world.memory.fingerprint(), before);
    // A stranger learns nothing of it, and another session has its own count.
    assert_eq!(house.ask("zeta", "GET", &qr).await.status, 404);
    let other = house.world.acme_session().await.id;
    assert_eq!(house.ask("acme", "GET", &format!("{SESSIONS}/{other}/qr")).await.status, 200);
    house.world.environment.advance(Duration::from_secs(3600));
    assert_eq!(house.ask("acme", "GET", &qr).await.status, 200);
}

#[tokio::test]
async fn codes_for_ever_other_phones_count_too() {
    let house = House::open().await;
    let id = house.world.acme_session().await.id;
    let at = format!("{SESSIONS}/{id}/pairing-code");
    let ask_for = |n: usize| json!({ "phone": format!("1555123456{n}") });
    for n in 0..10 {
        for _ in 0..2 {
            assert_eq!(house.post("acme", &at, &ask_for(n % 10)).await.status, 200, "{n}");
        }
    }
    assert_throttled(&house.post("acme", &at, &ask_for(3)).await, "pairing", 10, 3600);
    assert_eq!(
        house.post("acme", &at, &ask_for(9)).await.status,
        200,
        "the same again is no other"
    );
}

#[tokio::test]
async fn a_phone_is_counted_over_all_sessions_of_its_organization() {
    let house = House::open().await;
    let ask = async |caller: &str| {
        let made = house.post(caller, SESSIONS, &json!({})).await.json();
        let path = format!("{SESSIONS}/{}/pairing-code", made["id"].as_str().unwrap());
        let answer = house.post(caller, &path, &json!({ "phone": "15551234567" })).await;
        let path = format!("{SESSIONS}/{}", made["id"].as_str().unwrap());
        assert_eq!(house.ask(caller, "DELETE", &path).await.status, 204);
        answer
    };
    for n in 0..10 {
        assert_eq!(ask("acme").await.status, 200, "{n}");
    }
    assert_throttled(&ask("acme").await, "pairing", 10, 3600);
    assert_eq!(ask("zeta").await.status, 200, "another organization learns nothing of it");
    house.world.environment.advance(Duration::from_secs(3600));
    assert_eq!(ask("acme").await.status, 200);
}
