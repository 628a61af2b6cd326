//! Logins of people: at the pretend issuer, by a form of the organization's own frontend, and the
//! choice between organizations.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testbed::{
    checks::Checks,
    client::{Api, Credential},
    issuer::Token,
};

use crate::{deployment::Deployment, driver::Browser, site_server::SiteServer};

type LoginCase = fn(&Deployment, &Browser) -> Result<()>;

/// Adds a check for each login at the pretend issuer.
/// Without a browser, only the first check runs, and fails.
pub(crate) fn check(deployment: &Deployment, checks: &mut Checks) {
    let mut started = None;
    checks.check("logins: a browser starts", || {
        started = Some(deployment.anonymous_browser("person")?);
        Ok(())
    });
    let Some(browser) = started else { return };
    let cases: [(&str, LoginCase); 6] = [
        ("the issuer sends a person back to the page that was asked for", page_survives_the_login),
        ("a switched organization leaves nothing of the old one", switch_leaves_nothing),
        ("a person without an organization reads why", failures_are_explained),
        ("a frontend hands over its login", frontend_hands_over),
        ("a tunnel to loopback logs in", tunnel_logs_in),
        ("a plain-http page of another host says that HTTPS is needed", insecure_page_says_so),
    ];
    for (name, case) in cases {
        checks.check(&format!("logins: {name}"), || {
            case(deployment, &browser)?;
            let console = browser.console()?;
            ensure!(console.is_empty(), "the console has {console:?}");
            Ok(())
        });
    }
}

/// A new organization with one session, whose label nobody else uses.
fn organization(deployment: &Deployment, name: &str) -> Result<String> {
    let key = deployment.stack.key(name, &["manage"])?;
    let label = format!("canary of {name}");
    let api: Api = deployment.stack.api.with_credential(Some(key));
    api.post("/api/v1/sessions", &json!({ "label": label }))?.expect(201)?;
    Ok(label)
}

fn log_out(browser: &Browser) -> Result<()> {
    browser.press("Log out")?;
    browser.wait("document.querySelector('input[name=credential]')").map(drop)
}

fn page_survives_the_login(deployment: &Deployment, browser: &Browser) -> Result<()> {
    organization(deployment, "north")?;
    let person = json!({ "sub": "person-1", "org_id": "north", "role": "admin" });
    deployment.issuer.set_person(person);
    browser.open("/ui/keys?from=test")?;
    browser.click("a[href^='/auth/login']")?;
    browser.wait("document.querySelector('h1')?.textContent === 'API keys'")?;
    let at = browser.run("return location.pathname + location.search", &[])?;
    ensure!(at == "/ui/keys?from=test", "the browser is at {at}");
    let stored =
        browser.run("return JSON.stringify({ ...localStorage }) + document.cookie", &[])?;
    ensure!(stored == "{}", "a script can read {stored}");
    log_out(browser)?;
    // Back in the history shows no page of the ended login.
    browser.run("history.back()", &[])?;
    browser.wait("document.querySelector('input[name=credential]')")?;
    let list = browser.run("return document.querySelectorAll('table').length", &[])?;
    ensure!(list == 0, "a page of the ended login shows");
    Ok(())
}

fn switch_leaves_nothing(deployment: &Deployment, browser: &Browser) -> Result<()> {
    let labels = [organization(deployment, "east")?, organization(deployment, "west")?];
    let person = json!({ "sub": "person-2", "org_id": ["east", "west"], "role": "owner" });
    deployment.issuer.set_person(person);
    browser.open("/ui/login")?;
    browser.click("a[href^='/auth/login']")?;
    for (index, name) in ["east", "west", "east"].into_iter().enumerate() {
        browser.press("Switch organization")?;
        browser.wait("document.querySelector('dialog select')")?;
        browser.run(
            "const it = document.querySelector('dialog select'); it.value = arguments[0]; \
             it.dispatchEvent(new Event('input', { bubbles: true }))",
            &[json!(name)],
        )?;
        browser.click("dialog button[type=submit]")?;
        browser.wait(&format!("document.querySelector('.account p')?.textContent === '{name}'"))?;
        let (own, other) = (&labels[index % 2], &labels[(index + 1) % 2]);
        browser.wait(&format!("document.querySelector('tbody').textContent.includes('{own}')"))?;
        browser.wait("document.querySelector('.live.live')")?;
        let document = browser.run("return document.documentElement.outerHTML", &[])?;
        let document = document.as_str().unwrap_or_default();
        ensure!(!document.contains(other.as_str()), "the page of {name} has {other}");
    }
    log_out(browser)
}

fn failures_are_explained(deployment: &Deployment, browser: &Browser) -> Result<()> {
    deployment.issuer.set_person(json!({ "sub": "person-3", "org_id": Value::Null }));
    browser.open("/ui/login")?;
    browser.click("a[href^='/auth/login']")?;
    browser.wait("location.search === '?problem=no_organization'")?;
    let mut texts = vec![browser.wait("document.querySelector('.notice')?.textContent")?];
    for code in ["denied", "state", "expired", "issuer", "token", "of-a-later-version"] {
        browser.open(&format!("/ui/login?problem={code}"))?;
        let text = browser.wait("document.querySelector('.notice')?.textContent")?;
        ensure!(!texts.contains(&text), "{code} has the words of another problem: {text}");
        texts.push(text);
    }
    // A callback that this browser did not begin.
    browser.open("/auth/callback?code=stolen&state=stolen")?;
    browser.wait("location.search === '?problem=state'")?;
    browser.open("/ui/login")?;
    browser.type_into("input[name=credential]", "wa_0000000000")?;
    browser.click("button[type=submit]")?;
    browser.wait("document.querySelector('.form-error:not([hidden])')?.textContent")?;
    Ok(())
}

fn frontend_hands_over(deployment: &Deployment, browser: &Browser) -> Result<()> {
    const HAND_OVER: &str = "const [action, credential] = arguments; \
        const form = Object.assign(document.createElement('form'), { method: 'post', action }); \
        for (const [name, value] of [['credential', credential], ['return', '/ui/chats']]) \
          form.append(Object.assign(document.createElement('input'), { type: 'hidden', name, value })); \
        document.body.append(form); form.submit();";
    let Credential::Token(token) = Token::of("north", "admin").sign() else {
        anyhow::bail!("an issuer signs tokens")
    };
    let action = format!("{}/auth/handover", deployment.origin());
    browser.go_to(&format!("{}/frontend", deployment.second.origin()))?;
    browser.run(HAND_OVER, &[json!(action), json!(token)])?;
    browser.wait("location.pathname === '/ui/chats' && document.querySelector('h1')")?;
    browser.wait("document.querySelector('.account p')?.textContent === 'north'")?;
    let sent = browser.run("return performance.getEntriesByType('navigation')[0].name", &[])?;
    ensure!(!sent.as_str().context("a URL")?.contains(&token), "the token is in a URL");
    log_out(browser)
}

/// An SSH tunnel ends at another port and another name of loopback.
fn tunnel_logs_in(deployment: &Deployment, browser: &Browser) -> Result<()> {
    let tunnel = SiteServer::start()?;
    tunnel.forward_to(deployment.stack.address("BERTH_LISTEN")?);
    browser.go_to(&format!("{}/ui/", tunnel.named_origin()))?;
    browser.wait("document.querySelector('input[name=credential]')")?;
    browser.type_into("input[name=credential]", deployment.key.text())?;
    browser.click("button[type=submit]")?;
    browser.wait("document.querySelector('.live.live')")?;
    log_out(browser)
}

/// A browser keeps a protected cookie over HTTPS only. `http` to a host that is not loopback stands
/// for a berth that somebody reaches without TLS.
fn insecure_page_says_so(deployment: &Deployment, browser: &Browser) -> Result<()> {
    let port = deployment.origin().rsplit(':').next().unwrap_or_default().to_owned();
    browser.go_to(&format!("http://berth.test:{port}/ui/login"))?;
    browser.wait("document.querySelector('.notice.bad')?.textContent.includes('HTTPS')")?;
    // Chromium says that it ignores this header there.
    let console = browser.console()?;
    ensure!(
        console.iter().all(|text| text.contains("Cross-Origin-Opener-Policy")),
        "the console has {console:?}"
    );
    Ok(())
}
