//! Browser sessions: logins, the pages whose requests count, isolation, and the end of a session.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use acceptance::{
    deployment::{Deployment, Organization, fresh_with},
    web_socket::{Frame, WebSocket, ticket},
};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testbed::{
    client::{Api, Credential},
    event_stream::{EventStream, Opened},
    http::Reply,
    issuer::{Issuer, Token},
    options::DatabaseKind,
    sessions::{Owned, SESSIONS, path},
};

use crate::each_database;

each_database!(
    shared: key_logs_a_browser_in_and_out,
    cookie_counts_for_own_pages_only,
    foreign_and_ended_cookies_are_no_credential,
    browser_of_another_organization_finds_nothing,
    revoked_key_ends_its_browsers_within_a_second,
    logout_ends_the_streams_of_the_browser_alone,
    browser_of_a_token_ends_with_the_token,
    person_of_two_organizations_acts_for_one,
);

/// Upper bound of the end of a stream after its cause.
const SOON: Duration = Duration::from_secs(1);
const SESSION: &str = "/auth/session";
const WHOAMI: &str = "/api/v1/whoami";

/// Sends a login as a page of the service.
fn log_in(deployment: &Deployment, credential: &Credential) -> Result<Reply> {
    let body = json!({ "credential": credential.text() }).to_string();
    let page = [("Sec-Fetch-Site", "same-origin")];
    deployment.stack.api.with_credential(None).send("POST", SESSION, &page, Some(body.as_bytes()))
}

/// Returns the cookie that a reply sets.
fn cookie(reply: &Reply) -> Result<Credential> {
    let set = reply.header("set-cookie").context("no cookie")?;
    let pair = set.split(';').next().context("no cookie")?;
    Ok(Credential::Cookie(pair.to_owned()))
}

/// Returns a browser that is logged in with a credential.
fn browser(deployment: &Deployment, credential: &Credential) -> Result<Api> {
    let reply = log_in(deployment, credential)?.expect(204)?;
    Ok(deployment.with_credential(cookie(&reply)?))
}

fn key_of(organization: &Organization) -> Result<&Credential> {
    organization.api.credential().context("a key")
}

fn key_logs_a_browser_in_and_out(deployment: &Deployment) -> Result<()> {
    let organization = deployment.organization()?;
    let reply = log_in(deployment, key_of(&organization)?)?.expect(204)?;
    let set = reply.header("set-cookie").context("no cookie")?;
    // The public URL is the listener, over plain http on loopback.
    for part in ["berth=", "; HttpOnly", "; SameSite=Strict", "; Path=/", "; Max-Age=604800"] {
        ensure!(set.contains(part), "{part} is not in {set}");
    }
    let page = deployment.with_credential(cookie(&reply)?);
    let caller = page.get(WHOAMI)?.expect(200)?.json();
    ensure!(caller["organizationId"] == organization.name.as_str(), "{caller}");
    ensure!(caller["kind"] == "api_key" && caller["browserSession"] == true, "{caller}");
    let session = Owned::create(&page, "of a browser")?;
    ensure!(session.view()?["label"] == "of a browser");
    session.delete()?;
    let shown = page.get(SESSION)?.expect(200)?.json();
    ensure!(shown["organizations"] == json!([organization.name]), "{shown}");
    let out = page.delete(SESSION)?.expect(204)?;
    let set = out.header("set-cookie").context("no cookie")?;
    ensure!(set.starts_with("berth=;") && set.contains("Max-Age=0"), "{set}");
    for path in [WHOAMI, SESSION, SESSIONS] {
        page.get(path)?.expect_error(401, "unauthorized")?;
    }
    Ok(())
}

fn cookie_counts_for_own_pages_only(deployment: &Deployment) -> Result<()> {
    let organization = deployment.organization()?;
    let page = browser(deployment, key_of(&organization)?)?;
    let anonymous = deployment.stack.api.with_credential(None).get(SESSIONS)?;
    let bare = deployment.stack.api.with_credential(None);
    let cookie = page.credential().context("a cookie")?.text().to_owned();
    let origin = page.base().to_owned();
    for (headers, status) in [
        (&[("Sec-Fetch-Site", "same-origin")][..], 200),
        (&[("Origin", origin.as_str())], 200),
        (&[], 401),
        (&[("Sec-Fetch-Site", "cross-site"), ("Origin", origin.as_str())], 401),
        (&[("Sec-Fetch-Site", "same-site")], 401),
        (&[("Sec-Fetch-Site", "none")], 401),
        (&[("Origin", "http://evil.example")], 401),
        (&[("Origin", "null")], 401),
    ] {
        let mut all = headers.to_vec();
        all.push(("Cookie", cookie.as_str()));
        let reply = bare.send("GET", SESSIONS, &all, None)?;
        ensure!(reply.status == status, "{} with {headers:?}", reply.status);
        ensure!(status == 200 || reply.body == anonymous.body, "{headers:?}");
        // A form of another page, which needs no permission of the browser.
        all.push(("Content-Type", "text/plain"));
        let form = bare.send("POST", SESSIONS, &all, Some(b"{}"))?.status;
        ensure!(form == if status == 200 { 415 } else { 401 }, "{form} with {headers:?}");
        let stream = [all.as_slice(), &[("Accept", "text/event-stream")]].concat();
        if status == 401 {
            bare.send("GET", "/api/v1/events", &stream, None)?.expect(401)?;
        }
    }
    page.get("/api/v1/realtime")?.expect_error(401, "unauthorized")?;
    Ok(())
}

fn foreign_and_ended_cookies_are_no_credential(deployment: &Deployment) -> Result<()> {
    let organization = deployment.organization()?;
    let page = browser(deployment, key_of(&organization)?)?;
    let anonymous = deployment.stack.api.with_credential(None).get(SESSIONS)?.body;
    page.delete(SESSION)?.expect(204)?;
    let ended = page.credential().context("a cookie")?.text().to_owned();
    for cookie in [
        ended.clone(),
        format!("berth={}", "A".repeat(43)),
        "berth=".to_owned(),
        format!("__Host-{ended}"),
        format!("{ended}; {ended}"),
    ] {
        let caller = deployment.with_credential(Credential::Cookie(cookie.clone()));
        let reply = caller.get(SESSIONS)?.expect(401)?;
        ensure!(reply.body == anonymous, "{cookie}");
    }
    Ok(())
}

fn browser_of_another_organization_finds_nothing(deployment: &Deployment) -> Result<()> {
    let (org_a, org_b) = (deployment.organization()?, deployment.organization()?);
    let hidden = Owned::create(&org_a.api, "canary of A")?;
    let rights = ["manage", "read"];
    let page = browser(deployment, &deployment.stack.named_key(&org_b.name, "pages", &rights)?)?;
    let missing = "sess_01JGXS1DN00000000000000001";
    for below in ["", "/me", "/qr", "/chats", "/messages"] {
        let answer = |id: &str| page.get(&format!("{}{below}", path(id)));
        let (hidden, missing) = (answer(&hidden.id)?, answer(missing)?);
        ensure!(hidden.status == 404 && hidden.body == missing.body, "{below}");
    }
    page.delete(&path(&hidden.id))?.expect_error(404, "not_found")?;
    ensure!(page.get(SESSIONS)?.expect(200)?.json()["data"] == json!([]));
    let mut stream = EventStream::after(&page, "after=earliest", "")?;
    let first = stream.event()?.context("an event")?;
    ensure!(first["event"] == "api_key.created" && first["organization"] == org_b.name.as_str());
    for path in ["/api/v1/admin/sessions", "/api/v1/admin/gateways"] {
        page.get(path)?.expect_error(403, "forbidden")?;
    }
    hidden.delete()
}

fn revoked_key_ends_its_browsers_within_a_second(deployment: &Deployment) -> Result<()> {
    let Organization { api, name } = deployment.organization()?;
    let key = deployment.stack.named_key(&name, "in a browser", &["manage"])?;
    let page = browser(deployment, &key)?;
    let mut stream = EventStream::after(&page, "", "")?;
    stream.block()?;
    let mut socket = WebSocket::open(&api, &ticket(&page)?, "")?
        .map_err(|status| anyhow::anyhow!("refused with {status}"))?;
    deployment.stack.revoke_key(&name, "in a browser")?;
    let revoked = Instant::now();
    page.get(WHOAMI)?.expect_error(401, "unauthorized")?;
    while stream.event()?.is_some() {}
    while matches!(socket.frame()?, Frame::Event(_)) {}
    let took = revoked.elapsed();
    ensure!(took < SOON, "the streams ended after {} ms", took.as_millis());
    log_in(deployment, &key)?.expect_error(401, "unauthorized")?;
    Ok(())
}

fn logout_ends_the_streams_of_the_browser_alone(deployment: &Deployment) -> Result<()> {
    let organization = deployment.organization()?;
    let key = key_of(&organization)?;
    let (one, two) = (browser(deployment, key)?, browser(deployment, key)?);
    let mut streams = Vec::new();
    for page in [&one, &two] {
        let mut stream = EventStream::after(page, "", "")?;
        stream.block()?;
        streams.push(stream);
    }
    let unused = ticket(&one)?;
    one.delete(SESSION)?.expect(204)?;
    let ended = Instant::now();
    while streams[0].event()?.is_some() {}
    let took = ended.elapsed();
    ensure!(took < SOON, "the stream ended after {} ms", took.as_millis());
    let refused = WebSocket::open(&organization.api, &unused, "")?.err();
    ensure!(refused == Some(401), "the ticket of an ended session is {refused:?}");
    let session = Owned::create(&two, "of the other browser")?;
    let event = streams[1].event()?.context("the other stream goes on")?;
    ensure!(event["session"] == session.id.as_str(), "{event}");
    session.delete()
}

fn browser_of_a_token_ends_with_the_token(deployment: &Deployment) -> Result<()> {
    let name = deployment.organization()?.name;
    #[expect(
        clippy::disallowed_methods,
        reason = "the token must expire on the clock of the router"
    )]
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let token = Token::of(&name, "admin").with("exp", json!(now + 3)).sign();
    let page = browser(deployment, &token)?;
    let mut stream = EventStream::after(&page, "", "")?;
    ensure!(page.get(WHOAMI)?.expect(200)?.json()["expiresAt"] == json!((now + 3) * 1000));
    while stream.event()?.is_some() {}
    page.get(WHOAMI)?.expect_error(401, "unauthorized")?;
    match EventStream::open(&page, "", "")? {
        Opened::Refused(401) => Ok(()),
        other => anyhow::bail!("{other:?}"),
    }
}

fn person_of_two_organizations_acts_for_one(deployment: &Deployment) -> Result<()> {
    let (org_a, org_b) = (deployment.organization()?, deployment.organization()?);
    let (a, b) = (Owned::create(&org_a.api, "of A")?, Owned::create(&org_b.api, "of B")?);
    let token = Token::of("x", "admin").with("org_id", json!([org_a.name, org_b.name])).sign();
    let page = browser(deployment, &token)?;
    page.get(SESSIONS)?.expect_error(403, "forbidden")?;
    for (organization, own, other) in [(&org_a, &a, &b), (&org_b, &b, &a)] {
        let choice = json!({ "organization": organization.name });
        page.post("/auth/session:switch", &choice)?.expect(204)?;
        page.get(&path(&own.id))?.expect(200)?;
        page.get(&path(&other.id))?.expect_error(404, "not_found")?;
    }
    let elsewhere = json!({ "organization": deployment.organization()?.name });
    page.post("/auth/session:switch", &elsewhere)?.expect_error(404, "not_found")?;
    a.delete()?;
    b.delete()
}

/// A person logs in at the issuer: the link, the issuer's redirection, the callback, the cookie.
#[test]
fn person_logs_in_at_the_issuer() -> Result<()> {
    let issuer = Issuer::start()?;
    let settings = issuer.login_settings();
    fresh_with(DatabaseKind::Sqlite, "login", &settings, |deployment| {
        let name = deployment.organization()?.name;
        issuer.set_person(json!({ "sub": "person-1", "org_id": name, "role": "admin" }));
        let browser = deployment.stack.api.with_credential(None);
        let options = browser.get("/auth/options")?.expect(200)?.json();
        ensure!(options["oidc"] == true && options["publicUrl"] == browser.base(), "{options}");
        let begun = browser.get("/auth/login?return=/ui/keys")?.expect(302)?;
        let (login, at_issuer) = (cookie(&begun)?, location(&begun)?);
        let (base, rest) = at_issuer.split_once("/authorize").context("no /authorize")?;
        let issuer_page = Api::new(base, None);
        let back = location(&issuer_page.get(&format!("/authorize{rest}"))?.expect(302)?)?;
        let callback = back.strip_prefix(browser.base()).context("another redirect URI")?;

        // Another browser has not begun this login.
        let stolen = browser.get(callback)?.expect(302)?;
        ensure!(location(&stolen)? == "/ui/login?problem=state");

        // The issuer sends the browser back from another site.
        let headers = [("Cookie", login.text()), ("Sec-Fetch-Site", "cross-site")];
        let ended = browser.send("GET", callback, &headers, None)?.expect(302)?;
        ensure!(location(&ended)? == "/ui/keys", "{:?}", ended.head);
        let page = browser.with_credential(Some(cookie(&ended)?));
        let caller = page.get(WHOAMI)?.expect(200)?.json();
        ensure!(caller["subject"] == "person-1" && caller["organizationId"] == name.as_str());

        issuer.set_person(json!({ "sub": "person-2", "org_id": Value::Null }));
        let begun = browser.get("/auth/login")?.expect(302)?;
        let (login, at_issuer) = (cookie(&begun)?, location(&begun)?);
        let rest = at_issuer.strip_prefix(base).context("another issuer")?;
        let back = location(&issuer_page.get(rest)?.expect(302)?)?;
        let callback = back.strip_prefix(browser.base()).context("another redirect URI")?;
        let ended = browser.send("GET", callback, &[("Cookie", login.text())], None)?;
        ensure!(location(&ended)? == "/ui/login?problem=no_organization");
        Ok(())
    })
}

fn location(reply: &Reply) -> Result<String> {
    Ok(reply.header("location").context("no Location")?.to_owned())
}
