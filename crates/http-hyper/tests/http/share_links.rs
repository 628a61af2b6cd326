//! Share links: create, list, revoke; and what the browser gets that opened a link.

use std::time::Duration;

use domain::{
    Actor, EventPayload, LinkId, SessionId,
    testing::{CANARY, RETURN_ORIGIN, World},
};
use serde_json::{Value, json};

use crate::{
    client::{BOTH, ReceivedResponse, Version, ask, send},
    conformity::assert_documented,
    test_server::TestServer,
};

/// A browser with the cookie that it got, if any.
#[derive(Default)]
struct Browser {
    cookie: String,
}

impl Browser {
    /// Sends a request as a page of the service does.
    async fn say(
        &mut self,
        server: &TestServer,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> ReceivedResponse {
        let answer =
            raw(server, method, path, &[("sec-fetch-site", "same-origin")], &self.cookie, body)
                .await;
        if let Some(cookie) =
            answer.header("set-cookie").split(';').next().filter(|it| !it.is_empty())
        {
            cookie.clone_into(&mut self.cookie);
        }
        answer
    }

    async fn open(&mut self, server: &TestServer, secret: &str) -> ReceivedResponse {
        let body = json!({ "secret": secret });
        self.say(server, "POST", "/link/session", Some(body)).await
    }

    async fn get(&mut self, server: &TestServer, path: &str) -> ReceivedResponse {
        self.say(server, "GET", path, None).await
    }
}

async fn raw(
    server: &TestServer,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    cookie: &str,
    body: Option<Value>,
) -> ReceivedResponse {
    let mut request = ask(method, path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if !cookie.is_empty() {
        request = request.header("cookie", cookie);
    }
    if body.is_some() {
        request = request.header("content-type", "application/json");
    }
    let body = body.map_or_else(String::new, |body| body.to_string());
    let answer = send(server.address, Version::One, request, body).await;
    assert_documented(method, path, &answer);
    answer
}

/// Creates a link of a new session; returns the session, the response, and the secret.
async fn create(server: &TestServer, more: Value) -> (SessionId, Value, String) {
    let session = server.world.acme_session().await.id;
    let answer = server.post("acme", &links_of(&session), &more).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let link = answer.json();
    let (page, secret) = link["url"].as_str().unwrap().split_once('#').unwrap();
    assert_eq!(page, "https://berth.test/link");
    (session, link.clone(), secret.to_owned())
}

fn links_of(session: &SessionId) -> String {
    format!("/api/v1/sessions/{session}/links")
}

/// Returns the kinds and actors of events about links.
fn link_events(server: &TestServer) -> Vec<(String, Actor)> {
    let events = server.world.memory.events();
    let links = events.iter().filter(|event| event.name().as_str().starts_with("link."));
    links.map(|event| (event.name().as_str().to_owned(), event.actor.clone())).collect()
}

#[tokio::test]
async fn holder_links_a_phone_once() {
    let server = TestServer::open().await;
    let address = format!("{RETURN_ORIGIN}/done?order=7");
    let more = json!({ "title": "Ask <us>", "returnUrl": address, "expiresIn": 60 });
    let (session, link, secret) = create(&server, more).await;
    assert_eq!((&link["state"], &link["title"]), (&json!("open"), &json!("Ask <us>")));
    let id = link["id"].as_str().unwrap().to_owned();
    let mut browser = Browser::default();
    let opened = browser.open(&server, &secret).await;
    assert_eq!((opened.status.as_u16(), opened.body.len()), (204, 0));
    let cookie = opened.header("set-cookie");
    assert!(
        cookie.starts_with("__Host-berth-link=") && cookie.contains("HttpOnly; SameSite=Strict")
    );
    assert!(cookie.contains("Max-Age=3660; Path=/; Secure;"), "{cookie}");
    let again = browser.open(&server, &secret).await;
    assert_eq!((again.status.as_u16(), again.header("set-cookie")), (204, ""));

    let state = browser.get(&server, "/link/state").await.json();
    let expected = ("open", "stopped", 0);
    assert_eq!(
        (&state["state"], &state["status"], &state["attempts"]),
        (&json!(expected.0), &json!(expected.1), &json!(expected.2))
    );
    assert_eq!((&state["title"], &state["returnUrl"]), (&json!("Ask <us>"), &Value::Null));
    assert!(!state.to_string().contains(CANARY) && !state.to_string().contains("sess_"), "{state}");

    let code = browser.get(&server, "/link/qr?wait=10").await;
    assert_eq!(code.status, 200, "{code:?}");
    assert!(server.world.gateway.scan(code.json()["code"].as_str().unwrap()));
    server.reconciler.round().await;
    let version = state["version"].as_str().unwrap();
    let ended =
        browser.get(&server, &format!("/link/state?wait=20&version={version}")).await.json();
    assert_eq!((&ended["state"], &ended["status"]), (&json!("used"), &json!("working")));
    let back = format!("{RETURN_ORIGIN}/done?order=7&link={id}&outcome=linked");
    assert_eq!(ended["returnUrl"], json!(back));
    let actor = Actor::Link(LinkId::parse(&id).unwrap());
    let expected = [
        ("link.created".to_owned(), World::acme().actor),
        ("link.opened".to_owned(), actor.clone()),
        ("link.used".to_owned(), actor.clone()),
    ];
    assert_eq!(link_events(&server), expected);
    let asked = server
        .world
        .memory
        .events()
        .into_iter()
        .find(|event| matches!(event.payload, EventPayload::SessionRequested { .. }));
    assert_eq!(asked.unwrap().actor, actor, "the holder began the pairing");

    let before = server.fingerprint();
    for path in ["/link/qr?wait=0", "/link/qr"] {
        assert_eq!(browser.get(&server, path).await.status, 404);
    }
    assert_eq!(browser.open(&server, &secret).await.status, 404);
    assert_eq!(server.fingerprint(), before);
    let shown = server.ask("acme", "GET", &format!("{}/{id}", links_of(&session))).await.json();
    assert_eq!((&shown["state"], &shown["attempts"]), (&json!("used"), &json!(1)));
    server.world.environment.advance(Duration::from_secs(3600));
    assert_eq!(browser.get(&server, "/link/state").await.status, 404, "an hour after its end");
}

#[tokio::test]
async fn dead_links_have_one_response() {
    let server = TestServer::open().await;
    let reference = Browser::default().open(&server, "lnk_nonsense").await;
    assert_eq!((reference.status.as_u16(), reference.code().as_str()), (404, "not_found"));
    let (_, _, opened) = create(&server, json!({})).await;
    let mut first = Browser::default();
    assert_eq!(first.open(&server, &opened).await.status, 204);
    let (session, link, revoked) = create(&server, json!({})).await;
    let mut bound = Browser::default();
    assert_eq!(bound.open(&server, &revoked).await.status, 204);
    let path = format!("{}/{}", links_of(&session), link["id"].as_str().unwrap());
    assert_eq!(server.ask("acme", "DELETE", &path).await.status, 204);
    assert_eq!(server.ask("acme", "DELETE", &path).await.status, 404, "the link has ended");
    let (deleted, _, of_deleted) = create(&server, json!({})).await;
    let mut orphan = Browser::default();
    assert_eq!(orphan.open(&server, &of_deleted).await.status, 204);
    server.world.sessions.delete(&World::acme(), deleted.as_str(), None).await.unwrap();
    let (_, _, expired) = create(&server, json!({ "expiresIn": 60 })).await;
    server.world.environment.advance(Duration::from_secs(60));
    let unknown = format!("{}_secret", LinkId::from_bits(7));
    let before = server.fingerprint();
    for secret in [&opened, &revoked, &of_deleted, &expired, &unknown] {
        let dead = Browser::default().open(&server, secret).await;
        assert_eq!(dead.comparable(), reference.comparable(), "{secret}");
    }
    for browser in [&mut bound, &mut orphan, &mut Browser::default()] {
        for path in ["/link/state", "/link/qr"] {
            let dead = browser.get(&server, path).await;
            assert_eq!(dead.comparable(), reference.comparable(), "{path}");
        }
        let phone = json!({ "phone": "15551234567" });
        let dead = browser.say(&server, "POST", "/link/pairing-code", Some(phone)).await;
        assert_eq!(dead.comparable(), reference.comparable());
    }
    assert_eq!(server.fingerprint(), before);
    assert_eq!(first.get(&server, "/link/state").await.status, 200, "the first browser goes on");
}

#[tokio::test]
async fn requests_of_other_origins_find_no_link() {
    let server = TestServer::open().await;
    let (_, _, secret) = create(&server, json!({})).await;
    let mut browser = Browser::default();
    let before = server.fingerprint();
    let body = Some(json!({ "secret": secret }));
    let reference = Browser::default().open(&server, "lnk_nonsense").await;
    let others: [&[(&str, &str)]; 6] = [
        &[],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site"), ("origin", "https://berth.test")],
        &[("sec-fetch-site", "none")],
        &[("origin", "http://evil.example")],
        &[("host", "evil.example"), ("origin", "http://evil.example")],
    ];
    for headers in others {
        let refused = raw(&server, "POST", "/link/session", headers, "", body.clone()).await;
        assert_eq!(refused.comparable(), reference.comparable(), "{headers:?}");
    }
    assert_eq!(server.fingerprint(), before, "a preview or another site spends no link");
    assert_eq!(browser.open(&server, &secret).await.status, 204);
    for headers in others {
        for path in ["/link/state", "/link/qr?wait=0"] {
            let refused = raw(&server, "GET", path, headers, &browser.cookie, None).await;
            assert_eq!(refused.comparable(), reference.comparable(), "{headers:?}");
        }
    }
    let own = [("origin", "https://berth.test")];
    assert_eq!(raw(&server, "GET", "/link/state", &own, &browser.cookie, None).await.status, 200);
    let twice = format!("{}; {}", browser.cookie, browser.cookie);
    assert_eq!(raw(&server, "GET", "/link/state", &own, &twice, None).await.status, 404);
}

#[tokio::test]
async fn link_allows_three_pairing_attempts() {
    let server = TestServer::open().await;
    let more = json!({ "returnUrl": format!("{RETURN_ORIGIN}/done") });
    let (session, link, secret) = create(&server, more).await;
    let mut browser = Browser::default();
    assert_eq!(browser.open(&server, &secret).await.status, 204);
    for attempt in 1..=3 {
        assert_eq!(browser.get(&server, "/link/qr").await.status, 200);
        let phone = json!({ "phone": format!("1555123456{attempt}") });
        let code = browser.say(&server, "POST", "/link/pairing-code", Some(phone)).await;
        assert_eq!(code.status, 200, "a code within the attempt: {code:?}");
        let state = browser.get(&server, "/link/state").await.json();
        assert_eq!((&state["state"], &state["attempts"]), (&json!("open"), &json!(attempt)));
        server.world.sessions.stop(&World::acme(), session.as_str(), None).await.unwrap();
        server.reconciler.round().await;
    }
    assert_eq!(browser.get(&server, "/link/qr").await.status, 404);
    let state = browser.get(&server, "/link/state").await.json();
    assert_eq!(state["state"], "failed");
    let id = link["id"].as_str().unwrap();
    let back = format!("{RETURN_ORIGIN}/done?link={id}&outcome=failed");
    assert_eq!(state["returnUrl"], json!(back));
    let last = server.world.memory.events().pop().unwrap();
    assert_eq!(last.actor, Actor::Link(LinkId::parse(id).unwrap()));
    assert_eq!(last.name().as_str(), "link.revoked");
    let requested = server.world.memory.link_attempts();
    assert_eq!(requested.len(), 6, "three attempts and three codes count towards the hourly quota");
}

#[tokio::test]
async fn link_can_name_the_phone_and_the_method() {
    let server = TestServer::open().await;
    let named = json!({ "methods": ["code"], "phone": "15551234567" });
    let (_, _, secret) = create(&server, named).await;
    let mut browser = Browser::default();
    assert_eq!(browser.open(&server, &secret).await.status, 204);
    let state = browser.get(&server, "/link/state").await.json();
    assert_eq!((&state["methods"], &state["phone"]), (&json!(["code"]), &json!("15551234567")));
    let refused = browser.get(&server, "/link/qr").await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (409, "conflict"));
    let other = json!({ "phone": "15557654321" });
    let refused = browser.say(&server, "POST", "/link/pairing-code", Some(other)).await;
    assert_eq!((refused.status.as_u16(), refused.faults()), (400, vec!["/phone".to_owned()]));
    assert_eq!(server.world.memory.link_attempts().len(), 0);
    let code = browser.say(&server, "POST", "/link/pairing-code", Some(json!({}))).await;
    assert_eq!(code.status, 200, "{code:?}");
    assert_eq!(server.world.memory.link_attempts().len(), 1);

    let (_, _, secret) = create(&server, json!({ "methods": ["qr"] })).await;
    let mut browser = Browser::default();
    assert_eq!(browser.open(&server, &secret).await.status, 204);
    let refused = browser.say(&server, "POST", "/link/pairing-code", Some(json!({}))).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (409, "conflict"));
}

#[tokio::test]
async fn faults_of_a_new_link_are_reported_together() {
    let server = TestServer::open().await;
    let session = server.world.acme_session().await.id;
    let bad = json!({
        "expiresIn": 59, "methods": [], "phone": "+1", "title": "", "x": 1,
        "returnUrl": "https://evil.example/",
    });
    let expected = ["/expiresIn", "/methods", "/phone", "/returnUrl", "/title", "/x"];
    // A fault of the body precedes the lookup of the session.
    for path in [links_of(&session), links_of(&SessionId::from_bits(7))] {
        let answer = server.post("acme", &path, &bad).await;
        let mut faults = answer.faults();
        faults.sort_unstable();
        assert_eq!((answer.status.as_u16(), faults), (400, expected.map(str::to_owned).to_vec()));
    }
    let refused = server.post("member", &links_of(&session), &bad).await;
    assert_eq!(refused.code(), "forbidden");
}

#[tokio::test]
async fn paired_session_and_sixth_link_are_conflicts() {
    let server = TestServer::open().await;
    let paired = server.linked().await.id;
    let refused = server.post("acme", &links_of(&paired), &json!({})).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (409, "conflict"));
    let session = server.world.acme_session().await.id;
    let mut ids = Vec::new();
    for _ in 0..5 {
        let made = server.post("acme", &links_of(&session), &json!({})).await;
        assert_eq!(made.status, 201);
        let location = made.header("location").to_owned();
        assert_eq!(server.ask("acme", "GET", &location).await.status, 200);
        ids.push(location);
    }
    let refused = server.post("acme", &links_of(&session), &json!({})).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (409, "conflict"));
    assert_eq!(server.ask("acme", "DELETE", &ids[0]).await.status, 204);
    assert_eq!(server.post("acme", &links_of(&session), &json!({})).await.status, 201);
    let listed = server.ask("acme", "GET", &format!("{}?limit=4", links_of(&session))).await.json();
    assert_eq!(listed["data"].as_array().unwrap().len(), 4);
    let cursor = listed["nextCursor"].as_str().unwrap();
    let rest = server.ask("acme", "GET", &format!("{}?cursor={cursor}", links_of(&session))).await;
    let states: Vec<_> =
        rest.json()["data"].as_array().unwrap().iter().map(|link| link["state"].clone()).collect();
    assert_eq!(states, ["open", "revoked"], "ended links stay listed");
    assert!(!String::from_utf8_lossy(&rest.body).contains("_secret"));
    server.world.environment.advance(Duration::from_secs(1800));
    let made = server.post("acme", &links_of(&session), &json!({})).await;
    assert_eq!(made.status, 201, "expired links are not open: {made:?}");
}

#[tokio::test]
async fn cookie_of_a_link_is_no_credential_of_the_api() {
    let server = TestServer::open().await;
    let (session, _, secret) = create(&server, json!({})).await;
    let mut browser = Browser::default();
    assert_eq!(browser.open(&server, &secret).await.status, 204);
    for version in BOTH {
        let path = format!("/api/v1/sessions/{session}");
        let request = ask("GET", &path).header("cookie", browser.cookie.clone());
        let request = request.header("sec-fetch-site", "same-origin");
        assert_eq!(send(server.address, version, request, "").await.status, 401);
    }
    assert_eq!(browser.get(&server, "/api/v1/whoami").await.status, 401);
}
