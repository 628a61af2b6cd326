//! The operations of sessions, as their owner uses them.

use domain::{
    MAX_RATE,
    testing::{CANARY, World},
};

use http_hyper::{api::Requires, wire};
use serde_json::{Value, json};

use crate::{
    client::{BOTH, ReceivedResponse, Version, ask, send},
    operation_calls::{entitled, is_of_holder, of_callers},
    test_server::TestServer,
};

const SESSIONS: &str = "/api/v1/sessions";

fn names(value: &Value) -> Vec<&str> {
    let mut names: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn session_goes_through_its_whole_lifecycle() {
    let server = TestServer::open().await;
    let made = server.post("acme", SESSIONS, &wire::SessionSpec::sample()).await;
    assert_eq!((made.status.as_u16(), &made.json()["status"]), (201, &json!("starting")));
    let path = format!("{SESSIONS}/{}", made.json()["id"].as_str().unwrap());
    assert_eq!(made.header("location"), path);

    let qr = server.ask("acme", "GET", &format!("{path}/qr")).await.json();
    assert_eq!(names(&qr), names(&serde_json::to_value(wire::QrView::sample()).unwrap()));
    assert!(server.world.gateway.scan(qr["code"].as_str().unwrap()));
    server.reconciler.round().await;
    it_is_linked(&server, &path).await;

    for (verb, status) in [("stop", "stopped"), ("start", "working"), ("restart", "working")] {
        let answer = server.ask("acme", "POST", &format!("{path}:{verb}")).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["id"]), (200, &made.json()["id"]));
        server.reconciler.round().await;
        assert_eq!(server.ask("acme", "GET", &path).await.json()["status"], status, "{verb}");
    }

    it_logs_out(&server, &path).await;
    let deleted = server.ask("acme", "DELETE", &path).await;
    assert_eq!((deleted.status.as_u16(), deleted.body.len()), (204, 0));
    assert_eq!(server.ask("acme", "GET", &path).await.status, 404);
    assert_eq!(server.ask("acme", "DELETE", &path).await.status, 404);
}

async fn it_is_linked(server: &TestServer, path: &str) {
    let session = server.ask("acme", "GET", path).await.json();
    assert_eq!(names(&session), names(&serde_json::to_value(wire::SessionView::sample()).unwrap()));
    assert_eq!((&session["status"], &session["desired"]), (&json!("working"), &json!("running")));
    assert_eq!(
        (&session["gatewayId"], &session["label"]),
        (&json!("gw-test"), &json!("Front desk"))
    );
    assert_eq!(session["metadata"], json!({ "branch": "north" }));
    for name in ["phoneNumber", "waJid", "waLid", "pushName", "deviceId", "lastConnectedAt"] {
        assert!(!session[name].is_null(), "{name}");
    }
    let me = server.ask("acme", "GET", &format!("{path}/me")).await.json();
    assert_eq!(names(&me), names(&serde_json::to_value(wire::IdentityView::sample()).unwrap()));
    assert_eq!((&me["sessionId"], &me["connected"]), (&session["id"], &json!(true)));
    let qr = server.ask("acme", "GET", &format!("{path}/qr")).await;
    let phone = wire::PairingCodeSpec::sample();
    let code = server.post("acme", &format!("{path}/pairing-code"), &phone).await;
    for answer in [qr, code] {
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (409, "conflict"));
    }
}

async fn it_logs_out(server: &TestServer, path: &str) {
    let out = server.ask("acme", "POST", &format!("{path}:logout")).await.json();
    assert_eq!((&out["desired"], &out["phoneNumber"]), (&json!("stopped"), &Value::Null));
    assert_eq!(out["statusReason"]["code"], "logged_out_by_user");
    assert_eq!(names(&out["statusReason"]), ["code", "message", "retryAt", "since"]);
    assert_eq!(server.ask("acme", "GET", &format!("{path}/me")).await.status, 404);
    assert_eq!(server.ask("acme", "POST", &format!("{path}:start")).await.status, 409);
    let phone = wire::PairingCodeSpec::sample();
    let code = server.post("acme", &format!("{path}/pairing-code"), &phone).await.json();
    assert_eq!(
        names(&code),
        names(&serde_json::to_value(wire::PairingCodeView::sample()).unwrap())
    );
    assert_eq!(code["code"].as_str().unwrap().as_bytes()[4], b'-');
}

#[tokio::test]
async fn session_is_created_without_a_body() {
    let server = TestServer::open().await;
    for version in BOTH {
        for body in ["", "{}"] {
            let request = ask("POST", SESSIONS)
                .header("x-api-key", "acme")
                .header("content-type", "application/json; charset=utf-8");
            let made = send(server.address, version, request, body).await;
            assert_eq!(made.status, 201, "{body:?}");
            let session = made.json();
            assert_eq!((&session["status"], &session["label"]), (&json!("stopped"), &Value::Null));
            assert_eq!(session["version"], 1);
        }
    }
}

#[tokio::test]
async fn all_faults_of_a_body_are_reported_at_once() {
    let server = TestServer::open().await;
    let before = server.fingerprint();
    let body = json!({
        "label": 7,
        "autoRead": "yes",
        "ratePerMin": MAX_RATE + 1,
        "ratePerHour": 1.5,
        "metadata": { "a/b": 1, "long": "x".repeat(501) },
        "colour": "blue",
    });
    let answer = server.post("acme", SESSIONS, &body).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "validation_error"));
    let mut faults = answer.faults();
    faults.sort();
    assert_eq!(
        faults,
        [
            "/autoRead",
            "/colour",
            "/label",
            "/metadata/a~1b",
            "/metadata/long",
            "/ratePerHour",
            "/ratePerMin"
        ]
    );
    assert_eq!(server.fingerprint(), before);
}

#[tokio::test]
async fn session_list_is_read_page_by_page() {
    let server = TestServer::open().await;
    let mut expected = Vec::new();
    for _ in 0..7 {
        expected.insert(0, server.world.acme_session().await.id.as_str().to_owned());
    }
    let mut found = Vec::new();
    let mut path = format!("{SESSIONS}?limit=3");
    let sizes: Vec<_> = loop {
        let page = server.ask("acme", "GET", &path).await.json();
        assert_eq!(names(&page), ["data", "nextCursor"]);
        let data = page["data"].as_array().unwrap().clone();
        found.push(data.iter().map(|s| s["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>());
        match page["nextCursor"].as_str() {
            Some(cursor) => path = format!("{SESSIONS}?cursor={cursor}&limit=3"),
            None => break found.iter().map(Vec::len).collect(),
        }
    };
    assert_eq!(sizes, [3, 3, 1]);
    assert_eq!(found.concat(), expected);
    let all = server.ask("acme", "GET", &format!("{SESSIONS}?limit=7")).await.json();
    assert_eq!(all["nextCursor"], Value::Null);
    let none = server.ask("zeta", "GET", SESSIONS).await.json();
    assert_eq!(none, json!({ "data": [], "nextCursor": null }));
}

#[tokio::test]
async fn cursor_of_another_list_is_rejected() {
    let server = TestServer::open().await;
    for _ in 0..2 {
        server.world.acme_session().await;
    }
    let page = server.ask("acme", "GET", &format!("{SESSIONS}?limit=1")).await.json();
    let cursor = page["nextCursor"].as_str().unwrap();
    assert!(!cursor.contains(CANARY));
    for (caller, cursor) in [("zeta", cursor), ("acme", "AAAA"), ("acme", ""), ("acme", "%00")] {
        let answer = server.ask(caller, "GET", &format!("{SESSIONS}?cursor={cursor}")).await;
        assert_eq!((answer.status.as_u16(), answer.faults()), (400, vec!["cursor".to_owned()]));
    }
}

#[tokio::test]
async fn unknown_query_parameter_is_rejected_on_every_operation() {
    let server = TestServer::open().await;
    let id = server.linked().await.id;
    // A ticket precedes the faults of the query; `realtime.rs` tests them.
    let all = of_callers().filter(|row| row.requires != Requires::Ticket && !is_of_holder(row));
    for row in all {
        let path = row.path.replace("{session}", id.as_str()).replace("{key}", "key_x");
        let path = path.replace("{webhook}", "wh_x").replace("{deadLetter}", "evt_x");
        let answer =
            server.ask(entitled(row), row.method.as_str(), &format!("{path}?canary=1")).await;
        if row.requires == Requires::Nothing {
            assert_eq!(answer.status, 200, "{row:?}");
        } else if row.requires == Requires::Ticket {
            // Without a ticket nobody learns of faults.
            assert_eq!(answer.status, 401, "{row:?}");
        } else {
            assert_eq!(answer.status, 400, "{row:?}");
            assert!(answer.faults().contains(&"canary".to_owned()), "{row:?}");
        }
    }
}

async fn shown(server: &TestServer, accept: &str) -> ReceivedResponse {
    let id = server.pairing().await.id;
    let request = ask("GET", &format!("{SESSIONS}/{id}/qr?wait=0"))
        .header("x-api-key", "acme")
        .header("accept", accept);
    let answer = send(server.address, Version::One, request, "").await;
    assert_eq!((answer.status.as_u16(), answer.header("vary")), (200, "accept"));
    answer
}

#[tokio::test]
async fn qr_code_image_follows_accept() {
    let server = TestServer::open().await;
    let png = shown(&server, "image/png").await;
    assert_eq!(png.header("content-type"), "image/png");
    let reader = png::Decoder::new(std::io::Cursor::new(&png.body)).read_info().unwrap();
    let (width, height) = (reader.info().width, reader.info().height);
    assert!(width == height && width >= (21 + 8) * 8 && width % 8 == 0, "{width}x{height}");

    let svg = shown(&server, "image/svg+xml, image/png;q=0.5").await;
    assert_eq!(svg.header("content-type"), "image/svg+xml");
    let text = std::str::from_utf8(&svg.body).unwrap();
    assert!(text.starts_with("<?xml") && text.ends_with("</svg>"));
    assert_eq!(text.matches('<').count(), text.matches('>').count());
    assert!(text.contains(r#"xmlns="http://www.w3.org/2000/svg""#));

    for accept in ["application/json", "text/html", "*/*", "nonsense"] {
        let json = shown(&server, accept).await;
        assert_eq!(json.header("content-type"), "application/json", "{accept}");
        assert_eq!(json.json()["attempts"], 6);
    }
}

#[tokio::test]
async fn qr_code_that_is_not_ready_is_404_with_retry_after() {
    let server = TestServer::open().await;
    server.world.gateway.set_down(true);
    let id = server.world.acme_session().await.id;
    for wait in ["0", "30"] {
        let answer = server.ask("acme", "GET", &format!("{SESSIONS}/{id}/qr?wait={wait}")).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (404, "not_found"));
        assert_eq!(answer.header("retry-after"), "2");
    }
    for wait in ["31", "-1", "1.5", "", "x"] {
        let answer = server.ask("acme", "GET", &format!("{SESSIONS}/{id}/qr?wait={wait}")).await;
        assert_eq!((answer.status.as_u16(), answer.faults()), (400, vec!["wait".to_owned()]));
    }
}

#[tokio::test]
async fn head_response_is_a_get_response_without_body() {
    let server = TestServer::open().await;
    let id = server.linked().await.id;
    for version in BOTH {
        for path in [SESSIONS.to_owned(), format!("{SESSIONS}/{id}"), "/livez".to_owned()] {
            let get = server.say(version, "acme", "GET", &path, None).await;
            let head = server.say(version, "acme", "HEAD", &path, None).await;
            assert!(head.body.is_empty() && !get.body.is_empty());
            assert_eq!(head.header("content-length"), get.body.len().to_string());
            assert_eq!((head.status, head.comparable().1), (get.status, get.comparable().1));
        }
    }
}

#[tokio::test]
async fn unavailable_store_is_a_503_without_cause() {
    let server = TestServer::open().await;
    let id = server.linked().await.id;
    server.world.memory.set_down(true);
    for path in [SESSIONS.to_owned(), format!("{SESSIONS}/{id}")] {
        let answer = server.ask("acme", "GET", &path).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "unavailable"));
        assert_eq!(answer.header("retry-after"), "2");
        answer.assert_well_formed(&path);
        assert!(!String::from_utf8_lossy(&answer.body).contains("down"));
    }
    server.world.memory.set_down(false);
    assert_eq!(server.ask("acme", "GET", SESSIONS).await.status, 200);
    assert!(server.world.sessions.view(&World::acme(), id.as_str()).await.is_ok());
}
