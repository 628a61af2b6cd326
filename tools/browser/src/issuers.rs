//! Logins at real issuers: `oidc-provider` (OIDC code flow with PKCE) and better-auth (tokens that a
//! frontend hands over), both from the npm registry, run by Node.js.

use std::{fs, path::PathBuf, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testbed::{
    checks::Checks,
    client::{Api, Credential},
    http::Reply,
    ports,
    process::Process,
    programs::Programs,
    stack::Stack,
    wait,
    workspace::{self, Workspace},
};

use crate::driver::Browser;

const FILES: [&str; 3] = ["package.json", "oidc_provider.mjs", "better_auth.mjs"];
const SECRET: &str = "a secret, with reserved: characters & more";
const WHOAMI: &str = "/api/v1/whoami";
/// Time within which an issuer listens, and a page follows.
const PATIENCE: Duration = Duration::from_secs(30);

/// What every case needs.
struct IssuerTests<'a> {
    workspace: &'a Workspace,
    programs: &'a Programs,
    /// The folder with the scripts and the packages.
    scripts: PathBuf,
    logs: PathBuf,
}

/// Adds a check for each login at a real issuer.
/// Without npm, the first check fails and the others do not run.
pub(crate) fn check(workspace: &Workspace, programs: &Programs, checks: &mut Checks) {
    let mut installed = None;
    checks.check("issuers: the packages are installed", || {
        let tests = IssuerTests {
            workspace,
            programs,
            scripts: workspace.scratch("issuers")?,
            logs: workspace.scratch("logs")?,
        };
        tests.install()?;
        installed = Some(tests);
        Ok(())
    });
    let Some(tests) = installed else { return };
    for method in ["none", "client_secret_basic", "client_secret_post"] {
        checks.check(&format!("issuers: oidc-provider, client authentication {method}"), || {
            tests.code_flow(method)
        });
    }
    checks.check("issuers: oidc-provider restarts with other keys", || tests.restarted_issuer());
    checks.check("issuers: better-auth hands over its tokens", || tests.hand_over());
}

impl IssuerTests<'_> {
    fn install(&self) -> Result<()> {
        for name in FILES {
            fs::copy(
                self.workspace.root.join("tools/browser/issuers").join(name),
                self.scripts.join(name),
            )?;
        }
        let mut npm = Command::new("npm");
        npm.args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]);
        workspace::answer(npm.current_dir(&self.scripts)).map(drop)
    }

    /// Runs a script until its first line of output.
    fn run(&self, script: &str, arguments: &[&str]) -> Result<Process> {
        let log = self.logs.join(format!("{script}.log"));
        fs::write(&log, "")?;
        let mut node = Command::new("node");
        node.arg(script).args(arguments).current_dir(&self.scripts);
        let mut process = Process::spawn(script, &mut node, Some(&log))?;
        wait::until_true("the issuer listens", PATIENCE, || {
            process.must_run()?;
            Ok(fs::read_to_string(&log)?.contains("ready"))
        })?;
        Ok(process)
    }

    fn start(&self, settings: &[(&'static str, String)]) -> Result<Stack> {
        Stack::start(self.programs, "logins", &self.logs, None, settings)
    }

    fn browser(&self, stack: &Stack, name: &str) -> Result<Browser> {
        Browser::start(stack.api.base(), &self.logs.join(format!("browser-{name}.log")))
    }

    fn code_flow(&self, method: &str) -> Result<()> {
        let port = ports::free()?;
        let issuer = format!("http://127.0.0.1:{port}");
        let mut settings = oidc_settings(&issuer);
        if method != "none" {
            settings.push(("BERTH_OIDC_CLIENT_SECRET", SECRET.to_owned()));
        }
        let stack = self.start(&settings)?;
        let browser = self.browser(&stack, "oidc")?;
        // berth starts before its issuer.
        browser.open("/ui/login")?;
        browser.click("a[href^='/auth/login']")?;
        browser.wait("location.search === '?problem=issuer'")?;
        let callback = format!("{}/auth/callback", stack.api.base());
        let _issuer = self.run("oidc_provider.mjs", &[&port.to_string(), &callback, method])?;
        let labels = ["east", "west"].map(|name| labelled(&stack, name));
        for label in labels {
            label?;
        }

        browser.open("/ui/keys")?;
        begin_at_issuer(&browser, "ada")?;
        browser.wait("location.pathname === '/ui/keys'")?;
        for (name, other) in [("east", "west"), ("west", "east")] {
            browser.press("Switch organization")?;
            browser.wait("document.querySelector('dialog select')")?;
            browser.run(
                "document.querySelector('dialog select').value = arguments[0]",
                &[json!(name)],
            )?;
            browser.click("dialog button[type=submit]")?;
            browser.wait(&format!(
                "document.querySelector('tbody')?.textContent.includes('canary of {name}')"
            ))?;
            let text = browser.text("#app")?;
            ensure!(!text.contains(&format!("canary of {other}")), "{name} shows {other}");
        }
        browser.press("Log out")?;
        browser.wait("document.querySelector('input[name=credential]')")?;
        drop(browser);

        let browser = self.browser(&stack, "refused")?;
        browser.open("/ui/login")?;
        begin_at_issuer(&browser, "eve")?;
        browser.wait("location.search === '?problem=no_organization'")?;
        browser.open("/ui/login")?;
        browser.click("a[href^='/auth/login']")?;
        browser.wait("location.search === '?problem=no_organization'")?;
        drop(browser);

        let browser = self.browser(&stack, "cancelled")?;
        browser.open("/ui/login")?;
        browser.click("a[href^='/auth/login']")?;
        browser.wait("document.querySelector('a[href$=\"/abort\"]')")?;
        browser.click("a[href$='/abort']")?;
        browser.wait("location.search === '?problem=denied'")?;
        Ok(())
    }

    /// A person logs in, the issuer starts again with an empty memory, and the person logs in again.
    fn restarted_issuer(&self) -> Result<()> {
        let port = ports::free()?;
        let issuer = format!("http://127.0.0.1:{port}");
        let stack = self.start(&oidc_settings(&issuer))?;
        let callback = format!("{}/auth/callback", stack.api.base());
        let arguments = [&port.to_string(), &callback, "none"];
        let mut running = self.run("oidc_provider.mjs", &arguments)?;
        let browser = self.browser(&stack, "restarted")?;
        browser.open("/ui/login")?;
        begin_at_issuer(&browser, "bob")?;
        browser.wait("document.querySelector('.account p')?.textContent === 'east'")?;
        // `bob` is a member: no page shows that needs `manage`.
        let entries = browser.run(
            "return [...document.querySelectorAll('nav[aria-label=Navigation] a')].map((it) => it.textContent)",
            &[],
        )?;
        ensure!(entries == json!(["Chats", "Event monitor"]), "the navigation has {entries}");
        running.kill()?;
        // The session of the browser does not need the issuer.
        browser.open("/ui/chats")?;
        browser.wait("document.querySelector('.account p')?.textContent === 'east'")?;
        browser.press("Log out")?;
        browser.wait("document.querySelector('a[href^=\"/auth/login\"]')")?;
        browser.click("a[href^='/auth/login']")?;
        // The addresses are known: the browser goes to the issuer, which is away.
        browser.wait("!location.pathname.startsWith('/ui/')")?;
        let _running = self.run("oidc_provider.mjs", &arguments)?;
        browser.open("/ui/login")?;
        begin_at_issuer(&browser, "bob")?;
        browser.wait("document.querySelector('.account p')?.textContent === 'east'")?;
        Ok(())
    }

    fn hand_over(&self) -> Result<()> {
        let port = ports::free()?;
        let origin = format!("http://127.0.0.1:{port}");
        let _frontend = self.run("better_auth.mjs", &[&port.to_string()])?;
        let stack = self.start(&[
            ("BERTH_JWKS", format!("{origin}/api/auth/jwks")),
            ("BERTH_JWT_PRESET", "better-auth".to_owned()),
            ("BERTH_JWT_ISSUER", origin.clone()),
            ("BERTH_JWT_AUDIENCE", origin.clone()),
            ("BERTH_UI_HANDOVER_ORIGINS", origin.clone()),
        ])?;
        let browser = self.browser(&stack, "frontend")?;
        browser.go_to(&origin)?;
        let person = json!({ "email": "ada@app.example", "password": "password-1", "name": "Ada" });
        frontend(&browser, "/sign-up/email", Some(&person))?;
        let action = format!("{}/auth/handover", stack.api.base());
        let mut ids = Vec::new();
        for name in ["east", "west"] {
            let organization = json!({ "name": name, "slug": name });
            let made = frontend(&browser, "/organization/create", Some(&organization))?;
            ids.push(made["id"].as_str().context("an organization has an id")?.to_owned());
        }
        for id in &ids {
            labelled(&stack, id)?;
        }
        for (id, other) in [(&ids[0], &ids[1]), (&ids[1], &ids[0])] {
            // Where the issuer mints tokens for one organization, the frontend switches.
            browser.go_to(&origin)?;
            frontend(&browser, "/organization/set-active", Some(&json!({ "organizationId": id })))?;
            let token = frontend(&browser, "/token", None)?["token"].clone();
            let token = token.as_str().context("better-auth issues a token")?.to_owned();
            let direct = stack.api.with_credential(Some(Credential::Token(token.clone())));
            let caller = direct.get(WHOAMI)?.expect(200)?.json();
            ensure!(caller["organizationId"] == id.as_str(), "the token is of {caller}");
            browser.run(SUBMIT, &[json!(action), json!(token)])?;
            browser.wait(&format!(
                "document.querySelector('tbody')?.textContent.includes('canary of {id}')"
            ))?;
            let text = browser.text("#app")?;
            ensure!(!text.contains(&format!("canary of {other}")), "{id} shows {other}");
            let rights = browser.run_async(
                "fetch('/api/v1/whoami').then((it) => it.json()).then(arguments[0])",
                &[],
            )?;
            ensure!(rights["capabilities"] == json!(["read", "send", "manage"]), "{rights}");
        }
        browser.press("Log out")?;
        browser.wait("document.querySelector('input[name=credential]')")?;
        // A token with another signature.
        browser.go_to(&origin)?;
        let token = frontend(&browser, "/token", None)?["token"].clone();
        let forged =
            token.as_str().context("a token")?.rsplit_once('.').context("parts")?.0.to_owned();
        browser.run(SUBMIT, &[json!(action), json!(format!("{forged}.{}", "A".repeat(86)))])?;
        browser.wait("document.body.innerText.includes('unauthorized')")?;
        Ok(())
    }
}

const SUBMIT: &str = "const [action, credential] = arguments; \
    const form = Object.assign(document.createElement('form'), { method: 'post', action }); \
    form.append(Object.assign(document.createElement('input'), { type: 'hidden', name: 'credential', value: credential })); \
    document.body.append(form); form.submit();";

fn oidc_settings(issuer: &str) -> Vec<(&'static str, String)> {
    vec![
        ("BERTH_OIDC_ISSUER", issuer.to_owned()),
        ("BERTH_OIDC_CLIENT_ID", "berth-ui".to_owned()),
        ("BERTH_OIDC_SCOPES", "openid organization".to_owned()),
    ]
}

/// Creates a session in an organization, whose label names the organization.
fn labelled(stack: &Stack, organization: &str) -> Result<Reply> {
    let key = stack.key(organization, &["manage"])?;
    let api: Api = stack.api.with_credential(Some(key));
    let spec = json!({ "label": format!("canary of {organization}") });
    api.post("/api/v1/sessions", &spec)?.expect(201)
}

/// Goes to the issuer and logs in there, with its development pages: a login and a consent.
fn begin_at_issuer(browser: &Browser, name: &str) -> Result<()> {
    browser.click("a[href^='/auth/login']")?;
    browser.wait("document.querySelector('input[name=login]')")?;
    browser.type_into("input[name=login]", name)?;
    browser.type_into("input[name=password]", "any")?;
    browser.click("button[type=submit]")?;
    browser.wait("!document.querySelector('input[name=login]') && document.querySelector('button[type=submit]')")?;
    browser.click("button[type=submit]")
}

/// Calls better-auth from a page of its origin; without a body by `GET`.
fn frontend(browser: &Browser, path: &str, body: Option<&Value>) -> Result<Value> {
    let answer = browser.run_async(
        "const [path, body, done] = arguments; \
         fetch('/api/auth' + path, body ? { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) } : {}) \
           .then(async (it) => done([it.status, await it.json()]), (error) => done([0, String(error)]));",
        &[json!(path), json!(body)],
    )?;
    ensure!(answer[0] == 200, "{path}: {answer}");
    Ok(answer[1].clone())
}
