//! A deployment for the tests of the pages, behind a proxy, with an issuer of logins.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testbed::{
    client::{Api, Credential},
    folder::Folder,
    issuer::Issuer,
    phones::Phone,
    programs::Programs,
    stack::Stack,
    wait,
    workspace::Workspace,
};

use crate::{
    driver::Browser,
    site_server::{SiteServer, Treatment, answer},
};

/// Text that would run, restyle the page or reorder sentences if a page took it as markup.
pub(crate) const HOSTILE: [&str; 6] = [
    "<img src=x onerror=\"document.title='owned'\">",
    "\"><script>document.title='owned'</script>",
    "<svg/onload=document.title='owned'>",
    "javascript:document.title='owned'",
    "\u{202e}backwards\u{202c}",
    "'; style='position:fixed' {{7*7}} ${7*7}",
];

/// The running programs, with a key that may do everything within its organization.
pub(crate) struct Deployment {
    pub(crate) stack: Stack,
    /// The key of `api`, for the organization `acme`.
    pub(crate) key: Credential,
    /// A key of the organization `zeta`.
    pub(crate) other_key: Credential,
    pub(crate) api: Api,
    /// The public URL of berth.
    pub(crate) proxy: SiteServer,
    /// The site of the organization: links return there, and it may hand over logins.
    pub(crate) second: SiteServer,
    /// A site that may do nothing.
    pub(crate) attacker: SiteServer,
    pub(crate) issuer: Issuer,
    logs: PathBuf,
    _config: Folder,
}

impl Deployment {
    pub(crate) fn start(workspace: &Workspace, programs: &Programs) -> Result<Self> {
        let logs = workspace.scratch("logs")?;
        let (proxy, second, attacker) =
            (SiteServer::start()?, SiteServer::start()?, SiteServer::start()?);
        for site in [&second, &attacker] {
            let page = "<!doctype html><title>Another site</title><p>Another site";
            site.treat("GET ", Treatment::Answered(answer("200 OK", "text/html", "", page)));
        }
        let (issuer, config) = (Issuer::start()?, Folder::new("browser-config")?);
        let file = config.path().join("berth.toml");
        let origin = second.origin();
        fs::write(&file, format!("[organizations.acme]\nreturn_origins = [\"{origin}\"]\n"))?;
        let mut settings = vec![
            ("BERTH_PUBLIC_URL", proxy.origin()),
            ("BERTH_UI_HANDOVER_ORIGINS", origin),
            ("BERTH_CONFIG", file.display().to_string()),
        ];
        settings.extend(issuer.settings());
        settings.extend(issuer.login_settings());
        let stack = Stack::start(programs, "browser", &logs, None, &settings)?;
        proxy.forward_to(stack.address("BERTH_LISTEN")?);
        let key = stack.key("acme", &["manage", "read", "send"])?;
        let other_key = stack.key("zeta", &["manage"])?;
        let api = stack.api.with_credential(Some(key.clone()));
        Ok(Self {
            stack,
            key,
            other_key,
            api,
            proxy,
            second,
            attacker,
            issuer,
            logs,
            _config: config,
        })
    }

    /// Returns the origin of the pages.
    pub(crate) fn origin(&self) -> String {
        self.proxy.origin()
    }

    /// Starts a browser that is logged in through the page.
    pub(crate) fn browser(&self, name: &str) -> Result<Browser> {
        self.browser_with(name, &self.key)
    }

    /// As [`Self::browser`], with another credential.
    pub(crate) fn browser_with(&self, name: &str, credential: &Credential) -> Result<Browser> {
        let browser = self.anonymous_browser(name)?;
        browser.open("/ui/")?;
        browser.wait("document.querySelector('input[name=credential]')")?;
        browser.type_into("input[name=credential]", credential.text())?;
        browser.click("button[type=submit]")?;
        browser.wait("document.querySelector('nav a[aria-current]')")?;
        Ok(browser)
    }

    /// Starts a browser that is not logged in.
    pub(crate) fn anonymous_browser(&self, name: &str) -> Result<Browser> {
        Browser::start(&self.origin(), &self.logs.join(format!("browser-{name}.log")))
    }

    /// Stops a session, and waits until the session has stopped.
    pub(crate) fn stop(&self, session: &str) -> Result<()> {
        self.api.action(&format!("/api/v1/sessions/{session}:stop"))?.expect(200)?;
        wait::until_true("the session stops", Duration::from_secs(20), || {
            Ok(self.view(session)?["status"] == "stopped")
        })
    }

    /// Creates a session, and returns its id.
    pub(crate) fn session(&self, label: &str) -> Result<String> {
        let metadata = json!({ label.chars().take(40).collect::<String>(): label });
        let spec = json!({ "label": label, "metadata": metadata });
        let made = self.api.post("/api/v1/sessions", &spec)?.expect(201)?.json();
        Ok(made["id"].as_str().context("a session has an id")?.to_owned())
    }

    /// Creates a session and links a new phone to the session.
    pub(crate) fn linked(&self, label: &str, account: &str) -> Result<(String, Phone)> {
        let (session, phone) = (self.session(label)?, self.stack.phones.new_phone(account)?);
        phone.scan(&self.code(&session)?)?;
        Ok((session, phone))
    }

    /// Returns the QR code that a session shows now.
    pub(crate) fn code(&self, session: &str) -> Result<String> {
        let code = self.api.get(&format!("/api/v1/sessions/{session}/qr?wait=20"))?.expect(200)?;
        Ok(code.json()["code"].as_str().context("a code is text")?.to_owned())
    }

    /// Returns a session as the API shows it.
    pub(crate) fn view(&self, session: &str) -> Result<Value> {
        Ok(self.api.get(&format!("/api/v1/sessions/{session}"))?.expect(200)?.json())
    }
}
