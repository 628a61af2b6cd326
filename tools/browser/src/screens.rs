//! The screens of the pages: every page, dialog and ending, of an organization whose names are
//! hostile text.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::json;
use testbed::wait;

use self::{
    ScreenStep::{Change, Click, Press, Type, Wait},
    Viewer::{Member, Nobody, Operator},
};
use crate::{
    deployment::{Deployment, HOSTILE},
    driver::Browser,
};

const QR_CODE: ScreenStep = Wait("document.querySelector('.qr img')?.complete");

/// Who sees a screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Viewer {
    /// A key with every capability.
    Member,
    /// An operator of the platform, without capabilities in an organization.
    Operator,
    /// A browser without a login.
    Nobody,
}

/// What a person does on a page before a picture.
#[derive(Clone, Debug)]
pub(crate) enum ScreenStep {
    /// Presses the button with this text.
    Press(&'static str),
    /// Clicks the first element of this selector.
    Click(&'static str),
    /// Types a text into the element of this selector.
    Type(&'static str, String),
    /// Waits until this expression is true.
    Wait(&'static str),
    /// Somebody else changes this session.
    Change(String),
}

/// One screen.
#[derive(Clone, Debug)]
pub(crate) struct Screen {
    pub(crate) name: &'static str,
    pub(crate) viewer: Viewer,
    pub(crate) path: String,
    pub(crate) steps: Vec<ScreenStep>,
}

impl Screen {
    fn new(name: &'static str, viewer: Viewer, path: &str, steps: &[ScreenStep]) -> Self {
        Self { name, viewer, path: path.to_owned(), steps: steps.to_vec() }
    }

    /// Opens the page, and does the steps.
    pub(crate) fn show(&self, deployment: &Deployment, browser: &Browser) -> Result<()> {
        browser.open(&self.path)?;
        browser.wait("document.querySelector('h1') && !document.querySelector('.skeleton')")?;
        for step in &self.steps {
            match step {
                ScreenStep::Press(text) => browser.press(text),
                ScreenStep::Click(selector) => browser.click(selector),
                ScreenStep::Type(selector, text) => browser.type_into(selector, text),
                ScreenStep::Wait(expression) => browser.wait(expression).map(drop),
                ScreenStep::Change(session) => {
                    let change = json!({ "autoRead": true });
                    let path = format!("/api/v1/sessions/{session}");
                    deployment.api.patch(&path, &change)?.expect(200).map(drop)
                }
            }?;
        }
        Ok(())
    }
}

/// Creates objects whose names are hostile text, and returns the screens.
pub(crate) fn prepare(deployment: &Deployment) -> Result<Vec<Screen>> {
    let hostile =
        HOSTILE.map(|text| deployment.session(text)).into_iter().collect::<Result<Vec<_>>>()?;
    let (linked, phone) = deployment.linked("Front desk", HOSTILE[0])?;
    let other = deployment.stack.phones.new_phone(HOSTILE[1])?;
    for text in HOSTILE {
        let message = json!({ "to": phone.number, "text": text });
        other.post_to("/messages", &message)?.expect(201)?;
    }
    let api = &deployment.api;
    let hook = json!({ "url": "https://receiver.invalid/%3Cscript%3E", "events": ["session.*"] });
    let hook = api.post("/api/v1/webhooks", &hook)?.expect(201)?.json();
    let hook = hook["id"].as_str().context("a webhook has an id")?;
    let key = json!({ "name": HOSTILE[0], "capabilities": ["read"] });
    api.post("/api/v1/api-keys", &key)?.expect(201)?;
    let chats = format!("/api/v1/sessions/{linked}/chats");
    let chat = wait::until("a chat exists", Duration::from_secs(20), || {
        Ok(api.get(&chats)?.expect(200)?.json()["data"][0]["id"].as_u64())
    })?;
    let shared = deployment.session("For a customer")?;
    let link = format!("/api/v1/sessions/{shared}/links");
    let link = api.post(&link, &json!({ "title": HOSTILE[0] }))?.expect(201)?.json();
    let link = link["url"].as_str().context("a link has a URL")?;
    let holder = link.strip_prefix(&deployment.origin()).context("another origin")?;

    let mut screens = vec![
        Screen::new("sessions", Member, "/ui/sessions", &[]),
        Screen::new("sessions-none", Member, "/ui/sessions?label=%3Cimg%20src%3Dx%3E", &[]),
        Screen::new("session", Member, &path_of(&linked), &[]),
        Screen::new("hostile-session", Member, &path_of(&hostile[1]), &[]),
        Screen::new("chats", Member, "/ui/chats", &[]),
        Screen::new(
            "chat",
            Member,
            &format!("/ui/chats/{linked}/{chat}"),
            &[Wait("document.querySelectorAll('.line').length >= 6")],
        ),
        Screen::new("webhooks", Member, "/ui/webhooks", &[]),
        Screen::new("webhook", Member, &format!("/ui/webhooks/{hook}"), &[]),
        Screen::new("keys", Member, "/ui/keys", &[]),
        Screen::new(
            "events",
            Member,
            "/ui/events",
            &[
                Wait("document.querySelector('.live.live')"),
                Change(hostile[1].clone()),
                Wait("document.querySelector('.feed li')"),
            ],
        ),
        Screen::new("audit", Member, "/ui/audit", &[Click(".feed summary")]),
        Screen::new("missing", Member, "/ui/sessions/sess_none", &[]),
        Screen::new("all-sessions", Operator, "/ui/admin/sessions", &[]),
        Screen::new("gateways", Operator, "/ui/admin/gateways", &[]),
        Screen::new("no-access", Operator, "/ui/settings", &[]),
        Screen::new("login", Nobody, "/ui/sessions", &[]),
        Screen::new("login-problem", Nobody, "/ui/login?problem=no_organization", &[]),
        Screen::new("link-dead", Nobody, "/link", &[]),
        Screen::new("link", Nobody, holder, &[QR_CODE]),
        Screen::new(
            "link-code",
            Nobody,
            "/link",
            &[
                Press("Pairing code"),
                Type("input[type=tel]", "123".to_owned()),
                Press("Get a code"),
            ],
        ),
    ];
    screens.extend(dialogs(&hostile));
    Ok(screens)
}

/// Returns the dialogs and the menu, for sessions without a phone.
fn dialogs(sessions: &[String]) -> Vec<Screen> {
    vec![
        Screen::new("menu", Member, "/ui/sessions", &[Click("td.actions .icon")]),
        Screen::new("new-session", Member, "/ui/sessions", &[Press("New session")]),
        Screen::new("delete", Member, &path_of(&sessions[0]), &[Press("Delete")]),
        Screen::new("linking", Member, &path_of(&sessions[0]), &[Press("Link a phone"), QR_CODE]),
        Screen::new(
            "linking-code",
            Member,
            &path_of(&sessions[2]),
            &[
                Press("Link a phone"),
                Press("Pairing code"),
                Type("dialog input[type=tel]", "+55 11 91234 5678".to_owned()),
                Press("Get a code"),
                Wait("document.querySelector('.code output')"),
            ],
        ),
        Screen::new(
            "share",
            Member,
            &path_of(&sessions[3]),
            &[
                Press("Share a link"),
                Press("Make a link"),
                Wait(
                    "document.querySelector('.secret') && document.querySelector('dialog .badge')",
                ),
            ],
        ),
        Screen::new("new-webhook", Member, "/ui/webhooks", &[Press("New webhook")]),
        Screen::new("new-key", Member, "/ui/keys", &[Press("New API key")]),
        Screen::new(
            "key",
            Member,
            "/ui/keys",
            &[
                Press("New API key"),
                Type("dialog input[name=name]", "Nightly job".to_owned()),
                Click("dialog input[value=read]"),
                Press("Create"),
                Wait("document.querySelector('.secret')"),
            ],
        ),
    ]
}

/// Returns the path of a session's page.
fn path_of(session: &str) -> String {
    format!("/ui/sessions/{session}")
}
