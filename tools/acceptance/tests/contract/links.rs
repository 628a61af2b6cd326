//! Share links: a person without a key links one phone, once, in one browser.

use std::time::Duration;

use acceptance::deployment::{self, Deployment};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testbed::{
    client::Api,
    http::Reply,
    options::DatabaseKind,
    sessions::{Owned, PATIENCE, path_of},
    wait,
    workspace::Workspace,
};

use crate::each_database;

each_database!(
    shared: person_links_a_phone_with_a_link,
    preview_robot_spends_no_link,
    ended_links_are_as_unknown_links,
    link_ends_after_three_attempts,
    link_shares_the_hourly_quota_of_its_session,
    links_of_another_organization_are_missing,
);

/// A browser, which keeps the cookie that it gets.
struct Browser {
    api: Api,
    cookie: Option<String>,
}

impl Browser {
    fn new(deployment: &Deployment) -> Self {
        Self { api: deployment.stack.api.with_credential(None), cookie: None }
    }

    /// Sends a request as a page of the service does.
    fn send(&mut self, method: &str, path: &str, body: Option<&Value>) -> Result<Reply> {
        let cookie = self.cookie.clone().unwrap_or_default();
        let mut headers = vec![("Sec-Fetch-Site", "same-origin")];
        headers.extend(self.cookie.as_ref().map(|_| ("Cookie", cookie.as_str())));
        let body = body.map(Value::to_string);
        let reply =
            self.api.send_raw(method, path, &headers, body.as_deref().map(str::as_bytes))?;
        if let Some(set) = reply.header("set-cookie") {
            ensure!(set.contains("HttpOnly; SameSite=Strict"), "the cookie is {set}");
            self.cookie = set.split(';').next().map(str::to_owned);
        }
        Ok(reply)
    }

    fn open(&mut self, secret: &str) -> Result<Reply> {
        self.send("POST", "/link/session", Some(&json!({ "secret": secret })))
    }

    fn get(&mut self, path: &str) -> Result<Reply> {
        self.send("GET", path, None)
    }

    fn state(&mut self) -> Result<Value> {
        Ok(self.get("/link/state")?.expect(200)?.json())
    }
}

/// A new session with a link, and the secret of the link.
struct Shared {
    session: Owned,
    link: Value,
    secret: String,
}

impl Shared {
    fn create(api: &Api, spec: &Value) -> Result<Self> {
        Self::of(Owned::create(api, "shared")?, spec)
    }

    fn of(session: Owned, spec: &Value) -> Result<Self> {
        let reply = session.api.post(&path_of(&session.id, "/links"), spec)?.expect(201)?;
        let link = reply.json();
        let url = link["url"].as_str().context("a new link has its URL")?;
        let (page, secret) = url.split_once('#').context("the secret is in the fragment")?;
        ensure!(page == format!("{}/link", session.api.base()), "the URL is {url}");
        let secret = secret.to_owned();
        Ok(Self { session, link, secret })
    }

    fn id(&self) -> &str {
        self.link["id"].as_str().unwrap_or_default()
    }

    fn path(&self) -> String {
        path_of(&self.session.id, &format!("/links/{}", self.id()))
    }

    /// Returns the kinds and actors of the events about the link, oldest first.
    fn events(&self) -> Result<Vec<(String, String)>> {
        let path = format!("/api/v1/audit?limit=200&sessionId={}", self.session.id);
        let page = self.session.api.get(&path)?.expect(200)?.json();
        let events = page["data"].as_array().context("a page of events")?;
        let named = events.iter().filter(|event| event["payload"]["link"] == *self.id());
        let mut told: Vec<_> = named
            .map(|event| {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                (text(&event["event"]), text(&event["actor"]["kind"]))
            })
            .collect();
        told.reverse();
        Ok(told)
    }
}

/// Checks that an answer is the one of a link that never existed, byte for byte.
fn check_unknown(deployment: &Deployment, about: &str, reply: &Reply) -> Result<()> {
    let unknown = Browser::new(deployment).open("lnk_unknown")?.expect_error(404, "not_found")?;
    ensure!(
        reply.stable_parts() == unknown.stable_parts(),
        "{about}: {:?}",
        String::from_utf8_lossy(&reply.body)
    );
    Ok(())
}

fn person_links_a_phone_with_a_link(deployment: &Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    let phone = deployment.stack.phones.new_phone("Holder")?;
    let shared = Shared::create(&api, &json!({ "title": "Who asks", "expiresIn": 600 }))?;
    let (mut browser, mut second) = (Browser::new(deployment), Browser::new(deployment));
    browser.open(&shared.secret)?.expect(204)?;
    browser.open(&shared.secret)?.expect(204)?;
    check_unknown(deployment, "a second browser", &second.open(&shared.secret)?)?;
    let state = browser.state()?;
    ensure!(state["state"] == "open" && state["title"] == "Who asks", "{state}");
    ensure!(!state.to_string().contains("sess_"), "the holder is told of the session: {state}");
    let code = browser.get("/link/qr?wait=30")?.expect(200)?.json();
    phone.scan(code["code"].as_str().context("a QR code has a text")?)?;
    let ended = wait::until("the link is used", PATIENCE, || {
        let state = browser.state()?;
        ensure!(state["state"] == "used" && state["status"] == "working", "{state}");
        Ok(Some(state))
    })?;
    ensure!(ended["attempts"] == 1 && ended["returnUrl"].is_null(), "{ended}");
    check_unknown(deployment, "a used link", &browser.open(&shared.secret)?)?;
    check_unknown(deployment, "a code of a used link", &browser.get("/link/qr")?)?;
    let told = shared.events()?;
    let expected = [("link.created", "key"), ("link.opened", "link"), ("link.used", "link")];
    ensure!(
        told.iter().map(|(name, kind)| (name.as_str(), kind.as_str())).eq(expected),
        "the events are {told:?}"
    );
    api.post(&path_of(&shared.session.id, "/links"), &json!({}))?.expect_error(409, "conflict")?;
    let secret = shared.secret.rsplit('_').next().unwrap_or_default().as_bytes();
    ensure!(!deployment.stack.has_written(secret)?, "the secret of the link is stored");
    shared.session.delete()?;
    check_unknown(deployment, "a link of a deleted session", &browser.get("/link/state")?)
}

/// Messengers fetch the URL of a link, without its fragment; other sites send requests.
fn preview_robot_spends_no_link(deployment: &Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    let shared = Shared::create(&api, &json!({}))?;
    let robot = deployment.stack.api.with_credential(None);
    for method in ["HEAD", "GET"] {
        let reply = robot.send(method, "/link", &[("User-Agent", "WhatsApp/2.24 A")], None)?;
        ensure!(reply.status < 500 && reply.header("set-cookie").is_none(), "{method}");
    }
    let body = json!({ "secret": shared.secret }).to_string();
    let elsewhere: [&[(&str, &str)]; 4] = [
        &[],
        &[("Sec-Fetch-Site", "cross-site"), ("Origin", "https://evil.example")],
        &[("Sec-Fetch-Site", "same-site")],
        &[("Origin", "https://evil.example"), ("Referer", "https://evil.example/")],
    ];
    for headers in elsewhere {
        let reply = robot.send_raw("POST", "/link/session", headers, Some(body.as_bytes()))?;
        check_unknown(deployment, "another origin", &reply)?;
    }
    let view = api.get(&shared.path())?.expect(200)?.json();
    ensure!(view["state"] == "open" && view["openedAt"].is_null(), "the link is spent: {view}");
    Browser::new(deployment).open(&shared.secret)?.expect(204)?;
    shared.session.delete()
}

fn ended_links_are_as_unknown_links(deployment: &Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    let expiring = Shared::create(&api, &json!({ "expiresIn": 60 }))?;
    let mut late = Browser::new(deployment);
    late.open(&expiring.secret)?.expect(204)?;
    let revoked = Shared::create(&api, &json!({}))?;
    let mut bound = Browser::new(deployment);
    bound.open(&revoked.secret)?.expect(204)?;
    api.delete(&revoked.path())?.expect(204)?;
    api.delete(&revoked.path())?.expect_error(404, "not_found")?;
    let unopened = Shared::create(&api, &json!({}))?;
    api.delete(&unopened.path())?.expect(204)?;
    let deleted = Shared::create(&api, &json!({}))?;
    let mut orphan = Browser::new(deployment);
    orphan.open(&deleted.secret)?.expect(204)?;
    deleted.session.delete()?;
    for (about, browser) in [("revoked", &mut bound), ("deleted", &mut orphan)] {
        for path in ["/link/state", "/link/qr?wait=0"] {
            check_unknown(deployment, about, &browser.get(path)?)?;
        }
        let phone = json!({ "phone": "15551234567" });
        let code = browser.send("POST", "/link/pairing-code", Some(&phone))?;
        check_unknown(deployment, about, &code)?;
    }
    for dead in [&revoked, &unopened, &deleted] {
        check_unknown(deployment, "opened again", &Browser::new(deployment).open(&dead.secret)?)?;
    }
    let told = revoked.events()?;
    ensure!(told.last().is_some_and(|(name, kind)| name == "link.revoked" && kind == "key"));
    wait::until_true("the link expires", 2 * PATIENCE, || {
        Ok(late.get("/link/state")?.status == 404)
    })?;
    check_unknown(deployment, "expired", &late.get("/link/state")?)?;
    check_unknown(deployment, "expired", &late.open(&expiring.secret)?)?;
    let view = api.get(&expiring.path())?.expect(200)?.json();
    ensure!(view["state"] == "expired", "{view}");
    for session in [&expiring, &revoked, &unopened] {
        session.session.delete()?;
    }
    Ok(())
}

fn link_ends_after_three_attempts(deployment: &Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    let shared = Shared::create(&api, &json!({}))?;
    let mut browser = Browser::new(deployment);
    browser.open(&shared.secret)?.expect(204)?;
    for attempt in 1..=3 {
        browser.get("/link/qr?wait=30")?.expect(200)?;
        let state = browser.state()?;
        ensure!(state["attempts"] == attempt && state["state"] == "open", "{state}");
        api.action(&path_of(&shared.session.id, ":stop"))?.expect(200)?;
        shared.session.until_status("stopped")?;
    }
    check_unknown(deployment, "a fourth attempt", &browser.get("/link/qr")?)?;
    let state = browser.state()?;
    ensure!(state["state"] == "failed", "{state}");
    check_unknown(deployment, "opened again", &browser.open(&shared.secret)?)?;
    let told = shared.events()?;
    ensure!(told.last().is_some_and(|(name, kind)| name == "link.revoked" && kind == "link"));
    shared.session.delete()
}

fn link_shares_the_hourly_quota_of_its_session(deployment: &Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    let shared = Shared::create(&api, &json!({}))?;
    for _ in 0..10 {
        shared.session.qr()?;
        api.action(&path_of(&shared.session.id, ":stop"))?.expect(200)?;
        shared.session.until_status("stopped")?;
    }
    let mut browser = Browser::new(deployment);
    browser.open(&shared.secret)?.expect(204)?;
    let limited = browser.get("/link/qr")?.expect_error(429, "rate_limited")?;
    ensure!(limited.header("retry-after").is_some(), "429 without Retry-After");
    let state = browser.state()?;
    ensure!(state["attempts"] == 0 && state["state"] == "open", "{state}");
    shared.session.delete()
}

fn links_of_another_organization_are_missing(deployment: &Deployment) -> Result<()> {
    let (a, b) = (deployment.organization()?.api, deployment.organization()?.api);
    let shared = Shared::create(&a, &json!({ "title": "canary-90ad" }))?;
    let own = Owned::create(&b, "own")?;
    let list = |session: &str| path_of(session, "/links");
    let one = |session: &str, link: &str| path_of(session, &format!("/links/{link}"));
    let never = ("sess_01JGXS1DN0000000000000ZZZZ", "lnk_01JGXS1DN0000000000000ZZZZ");
    let (session, link) = (shared.session.id.as_str(), shared.id());
    for (method, hidden, missing) in [
        ("GET", list(session), list(never.0)),
        ("POST", list(session), list(never.0)),
        ("GET", one(session, link), one(never.0, never.1)),
        ("GET", one(&own.id, link), one(&own.id, never.1)),
        ("HEAD", one(session, link), one(never.0, never.1)),
        ("DELETE", one(session, link), one(never.0, never.1)),
        ("DELETE", one(&own.id, link), one(&own.id, never.1)),
    ] {
        let body = (method == "POST").then_some(&b"{}"[..]);
        let answers = [&hidden, &missing].map(|path| b.send_raw(method, path, &[], body));
        let [hidden, missing] = answers;
        let (hidden, missing) = (hidden?, missing?);
        ensure!(hidden.stable_parts() == missing.stable_parts(), "{method} {session}");
        ensure!(hidden.status == 404, "{method}: {}", hidden.status);
    }
    let events = b.get("/api/v1/audit?limit=200")?.expect(200)?;
    ensure!(!String::from_utf8_lossy(&events.body).contains("canary-90ad"), "B reads A's events");
    let view = a.get(&shared.path())?.expect(200)?.json();
    ensure!(view["state"] == "open", "B changed the link: {view}");
    own.delete()?;
    shared.session.delete()
}

mod return_url_needs_an_allowed_origin {
    use super::{DatabaseKind, Result, return_url_needs_an_allowed_origin};

    #[test]
    fn sqlite() -> Result<()> {
        return_url_needs_an_allowed_origin(DatabaseKind::Sqlite)
    }

    #[test]
    fn postgres() -> Result<()> {
        return_url_needs_an_allowed_origin(DatabaseKind::Postgres)
    }
}

/// The file of settings names the origins to which an organization's links may return.
fn return_url_needs_an_allowed_origin(database: DatabaseKind) -> Result<()> {
    if !deployment::has_programs()? {
        return Ok(());
    }
    let file = Workspace::find()?.scratch("links")?.join(format!("{}.toml", database.name()));
    let table = "[organizations.acme]\nreturn_origins = [\"https://Shop.example:443\"]\n";
    std::fs::write(&file, table).context("the file of settings")?;
    let settings = [("BERTH_CONFIG", file.display().to_string())];
    deployment::fresh_with(database, "links", &settings, |deployment| {
        let key = |organization: &str| -> Result<Api> {
            Ok(deployment.with_credential(deployment.stack.key(organization, &["manage"])?))
        };
        let (acme, zeta) = (key("acme")?, key("zeta")?);
        let spec = json!({ "returnUrl": "https://shop.example/done?a=1" });
        let session = Owned::create(&zeta, "not allowed")?;
        zeta.post(&path_of(&session.id, "/links"), &spec)?.expect_error(400, "validation_error")?;
        let session = Owned::create(&acme, "allowed")?;
        for address in ["https://shop.example:444/", "http://shop.example/", "//shop.example/"] {
            let other = json!({ "returnUrl": address });
            let path = path_of(&session.id, "/links");
            acme.post(&path, &other)?.expect_error(400, "validation_error")?;
        }
        let shared = Shared::of(session, &spec)?;
        let phone = deployment.stack.phones.new_phone("Returns")?;
        let mut browser = Browser::new(deployment);
        browser.open(&shared.secret)?.expect(204)?;
        ensure!(browser.state()?["returnUrl"].is_null(), "the link has not ended");
        let number = json!({ "phone": phone.number });
        let code = browser.send("POST", "/link/pairing-code", Some(&number))?.expect(200)?.json();
        phone.enter_code(code["code"].as_str().context("a code")?)?;
        let back = format!("https://shop.example/done?a=1&link={}&outcome=linked", shared.id());
        wait::until_true("the link is used", PATIENCE + Duration::from_secs(30), || {
            Ok(browser.state()?["returnUrl"] == *back)
        })
    })
}
