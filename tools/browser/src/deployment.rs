//! A deployment with one organization for the tests of the pages.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testbed::{
    client::{Api, Credential},
    phones::Phone,
    programs::Programs,
    stack::Stack,
    workspace::Workspace,
};

use crate::driver::Browser;

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
    pub(crate) key: Credential,
    pub(crate) api: Api,
    logs: PathBuf,
}

impl Deployment {
    pub(crate) fn start(workspace: &Workspace, programs: &Programs) -> Result<Self> {
        let logs = workspace.scratch("logs")?;
        let stack = Stack::start(programs, "browser", &logs, None, &[])?;
        let key = stack.key("acme", &["manage", "read", "send"])?;
        let api = stack.api.with_credential(Some(key.clone()));
        Ok(Self { stack, key, api, logs })
    }

    /// Starts a browser that is logged in: through the page, where the deployment has logins.
    pub(crate) fn browser(&self, name: &str) -> Result<Browser> {
        self.browser_with(name, &self.key)
    }

    /// As [`Self::browser`], with another key.
    pub(crate) fn browser_with(&self, name: &str, key: &Credential) -> Result<Browser> {
        let log = self.logs.join(format!("browser-{name}.log"));
        let browser = Browser::start(self.stack.api.base(), &log)?;
        if self.stack.api.get("/auth/options")?.status == 200 {
            browser.open("/ui/")?;
            browser.wait("document.querySelector('input[name=credential]')")?;
            browser.type_into("input[name=credential]", key.text())?;
            browser.click("button[type=submit]")?;
        } else {
            let (name, value) = key.header();
            browser.send_headers(&json!({ name: value }))?;
            browser.open("/ui/")?;
        }
        browser.wait("document.querySelector('nav a[aria-current]')")?;
        Ok(browser)
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
