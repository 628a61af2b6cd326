//! Pages of other origins that send requests with the cookie of a person who is logged in. Another
//! port of the same host is the same site: browsers send `SameSite=Strict` cookies from there.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testbed::checks::Checks;

use crate::{deployment::Deployment, driver::Browser};

/// Requests that a page can send without a permission of the server, and what each returned.
const REQUESTS: &str = r#"
const [base, session, credential, done] = arguments;
const sent = async (name, path, init) => {
  const answer = await fetch(base + path, { credentials: 'include', ...init }).catch((error) => ({ type: error.name, status: '' }));
  return [name, `${answer.type} ${answer.status}`.trim()];
};
const element = (name, tag, properties) => new Promise((resolve) => {
  const node = Object.assign(document.createElement(tag), properties);
  node.onload = () => resolve([name, 'loaded']);
  node.onerror = () => resolve([name, 'failed']);
  document.body.append(node);
});
const opaque = (body) => ({ method: 'POST', mode: 'no-cors', body });
const stream = new Promise((resolve) => {
  const source = new EventSource(base + '/api/v1/events', { withCredentials: true });
  source.onopen = () => resolve(['stream', 'open']);
  source.onerror = () => resolve(['stream', `closed ${source.readyState}`]);
});
const qr = `/api/v1/sessions/${session}/qr?wait=1`;
Promise.all([
  sent('read', '/api/v1/sessions'), sent('whoami', '/api/v1/whoami'), sent('login', '/auth/session'),
  sent('state', '/link/state'), sent('asset', '/ui/'), stream,
  sent('create', '/api/v1/sessions', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"label":"forged"}' }),
  sent('delete', `/api/v1/sessions/${session}`, { method: 'DELETE' }),
  sent('logout', '/auth/session', { method: 'DELETE' }),
  sent('opaque create', '/api/v1/sessions', opaque('{"label":"forged"}')),
  sent('opaque stop', `/api/v1/sessions/${session}:start`, opaque('')),
  sent('opaque login', '/auth/session', opaque(`{"credential":"${credential}"}`)),
  sent('opaque switch', '/auth/session:switch', opaque('{"organization":"zeta"}')),
  sent('opaque link', '/link/session', opaque('{"secret":"lnk_unknown"}')),
  sent('opaque code', qr, { mode: 'no-cors' }),
  element('image of a code', 'img', { src: base + qr }),
  element('script', 'script', { src: base + '/api/v1/sessions' }),
  element('module', 'script', { type: 'module', src: base + '/ui/a/0/app.js' }),
]).then((all) => done(Object.fromEntries(all)), (error) => done(String(error)));
"#;

/// Checks both kinds of other origins.
pub(crate) fn check(deployment: &Deployment, checks: &mut Checks) {
    let mut started = None;
    checks.check("second origin: a person is logged in", || {
        started = Some(deployment.browser("victim")?);
        Ok(())
    });
    let Some(victim) = started else { return };
    let attacker = &deployment.attacker;
    let origins = [("another port", attacker.origin()), ("another site", attacker.named_origin())];
    for (name, origin) in origins {
        let attacks: [(&str, Attack); 3] = [
            ("requests change and reveal nothing", requests_are_refused),
            ("forms change nothing", forms_are_refused),
            ("frames show nothing", frames_are_refused),
        ];
        for (title, attack) in attacks {
            checks.check(&format!("second origin: {title}, {name}"), || {
                let before = StateBefore::of(deployment)?;
                attack(deployment, &victim, &origin, &before)?;
                before.check(deployment, &victim)
            });
        }
    }
}

type Attack = fn(&Deployment, &Browser, &str, &StateBefore) -> Result<()>;

/// The state that an attack must not change.
struct StateBefore {
    session: String,
    sessions: Value,
    /// A key of another organization, with which an attacker would log the person in.
    credential: String,
}

impl StateBefore {
    fn of(deployment: &Deployment) -> Result<Self> {
        let session = deployment.session("Victim")?;
        let credential = deployment.other_key.text().to_owned();
        Ok(Self { session, sessions: sessions(deployment)?, credential })
    }

    fn check(&self, deployment: &Deployment, victim: &Browser) -> Result<()> {
        let after = sessions(deployment)?;
        ensure!(after == self.sessions, "before: {:#}\nafter: {after:#}", self.sessions);
        victim.open("/ui/sessions")?;
        victim.wait("document.querySelector('.account p')?.textContent === 'acme'")?;
        victim.console().map(drop)
    }
}

/// Returns the sessions without the times that a gateway reports.
fn sessions(deployment: &Deployment) -> Result<Value> {
    let mut page = deployment.api.get("/api/v1/sessions?limit=200")?.expect(200)?.json();
    for session in page["data"].as_array_mut().context("a list of sessions")? {
        let session = session.as_object_mut().context("a session is an object")?;
        session.retain(|name, _| ["id", "label", "desired", "status"].contains(&name.as_str()));
    }
    Ok(page)
}

fn requests_are_refused(
    deployment: &Deployment,
    victim: &Browser,
    origin: &str,
    before: &StateBefore,
) -> Result<()> {
    victim.go_to(&format!("{origin}/attack"))?;
    let arguments = [&deployment.origin(), &before.session, &before.credential];
    let outcomes = victim.run_async(REQUESTS, &arguments.map(|text| json!(text)))?;
    // A page cannot read an opaque answer. Answers to readable requests are withheld by the browser,
    // because no answer permits another origin.
    let expected = json!({
        "read": "TypeError", "whoami": "TypeError", "login": "TypeError", "state": "TypeError",
        "asset": "TypeError", "stream": "closed 2", "create": "TypeError", "delete": "TypeError",
        "logout": "TypeError", "opaque create": "opaque 0", "opaque stop": "opaque 0",
        "opaque login": "opaque 0", "opaque switch": "opaque 0", "opaque link": "opaque 0",
        "opaque code": "opaque 0", "image of a code": "failed", "script": "failed",
        "module": "failed",
    });
    ensure!(outcomes == expected, "the page got {outcomes:#}");
    Ok(())
}

/// Forms navigate, so that no permission of the server is necessary, and the person sees the answer.
fn forms_are_refused(
    deployment: &Deployment,
    victim: &Browser,
    origin: &str,
    before: &StateBefore,
) -> Result<()> {
    const SUBMIT: &str = "const [action, enctype, name, value] = arguments; \
        const form = Object.assign(document.createElement('form'), { method: 'post', action, enctype }); \
        form.append(Object.assign(document.createElement('input'), { type: 'hidden', name, value })); \
        document.body.append(form); form.submit();";
    let (plain, form) = ("text/plain", "application/x-www-form-urlencoded");
    let forged = r#"{"label":"forged","metadata":{"a":""#;
    let login = r#"{"credential":""#;
    let credential = format!("{}\"}}", before.credential);
    let start = format!("/api/v1/sessions/{}:start", before.session);
    for (path, enctype, name, value) in [
        ("/api/v1/sessions", plain, forged, "\"}}"),
        (start.as_str(), form, "a", "b"),
        ("/auth/session", plain, login, credential.as_str()),
        ("/auth/session:switch", plain, r#"{"organization":"zeta","a":""#, "\"}"),
        ("/auth/handover", form, "credential", &before.credential),
        ("/link/session", plain, r#"{"secret":"lnk_unknown","a":""#, "\"}"),
    ] {
        victim.go_to(&format!("{origin}/attack"))?;
        let action = format!("{}{path}", deployment.origin());
        victim.run(SUBMIT, &[json!(action), json!(enctype), json!(name), json!(value)])?;
        victim.wait(&format!("location.href === '{action}'"))?;
        let text = victim.wait("document.body?.innerText")?;
        let text = text.as_str().unwrap_or_default();
        let code = serde_json::from_str::<Value>(text).unwrap_or_default()["error"]["code"].clone();
        let expected = if path == "/link/session" { "not_found" } else { "unauthorized" };
        ensure!(code == expected, "{path} answers {text}");
    }
    Ok(())
}

fn frames_are_refused(
    deployment: &Deployment,
    victim: &Browser,
    origin: &str,
    _: &StateBefore,
) -> Result<()> {
    const FRAME: &str = "const [src, done] = arguments; \
        const frame = Object.assign(document.createElement('iframe'), { src }); \
        frame.onload = () => done(frame.contentDocument === null && frame.contentWindow.length); \
        document.body.append(frame);";
    for path in ["/ui/sessions", "/ui/login", "/link", "/docs"] {
        victim.go_to(&format!("{origin}/attack"))?;
        victim.console()?;
        let src = format!("{}{path}", deployment.origin());
        let length = victim.run_async(FRAME, &[json!(src)])?;
        let refusals = victim.console()?;
        ensure!(
            length == 0 && refusals.iter().any(|text| text.contains("frame-ancestors")),
            "{path}: {length}, {refusals:?}"
        );
    }
    Ok(())
}
