//! Every page in both colour schemes and two widths: a picture of it, the accessibility rules, no
//! message on the console, and no element wider than the window.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use testbed::{checks::Checks, wait, workspace::Workspace};

use crate::{
    axe::Axe,
    deployment::{Deployment, HOSTILE},
    driver::{Browser, Viewport},
};

const WIDTHS: [(u32, u32); 2] = [(1280, 900), (360, 780)];

/// Fills the organization and checks all pages.
pub(crate) fn check(workspace: &Workspace, deployment: &Deployment, checks: &mut Checks) {
    let mut prepared = None;
    checks.check("pages: an organization with hostile names is prepared", || {
        let pages = prepare(deployment)?;
        let (axe, browser) = (Axe::load(workspace)?, deployment.browser("pages")?);
        prepared = Some((pages, axe, browser, workspace.scratch("pictures")?));
        Ok(())
    });
    let Some((pages, axe, browser, pictures)) = prepared else { return };
    for (name, path) in &pages {
        checks.check(&format!("pages: {name}"), || {
            for (width, height) in WIDTHS {
                for dark in [false, true] {
                    let viewport = Viewport { width, height, dark };
                    show(&browser, &axe, path, viewport, &picture(&pictures, name, viewport))?;
                }
            }
            Ok(())
        });
    }
    checks.check("pages: a session of another organization is a missing page", || {
        foreign_is_missing(deployment, &browser)
    });
}

fn picture(folder: &Path, name: &str, viewport: Viewport) -> PathBuf {
    let scheme = if viewport.dark { "dark" } else { "light" };
    folder.join(format!("{name}-{scheme}-{}.png", viewport.width))
}

/// Creates objects whose names are hostile text, and returns the pages with their paths.
fn prepare(deployment: &Deployment) -> Result<Vec<(&'static str, String)>> {
    for text in HOSTILE {
        deployment.session(text)?;
    }
    let (session, phone) = deployment.linked("Front desk", HOSTILE[0])?;
    let other = deployment.stack.phones.new_phone(HOSTILE[1])?;
    for text in HOSTILE {
        let message = json!({ "to": phone.number, "text": text });
        other.post_to("/messages", &message)?.expect(201)?;
    }
    let api = &deployment.api;
    let hook = json!({ "url": "https://receiver.invalid/%3Cscript%3E", "events": ["session.*"] });
    let hook = api.post("/api/v1/webhooks", &hook)?.expect(201)?.json();
    let hook = hook["id"].as_str().context("a webhook has an id")?.to_owned();
    let key = json!({ "name": HOSTILE[0], "capabilities": ["read"] });
    api.post("/api/v1/api-keys", &key)?.expect(201)?;
    let chats = format!("/api/v1/sessions/{session}/chats");
    let chat = wait::until("a chat exists", Duration::from_secs(20), || {
        Ok(api.get(&chats)?.expect(200)?.json()["data"][0]["id"].as_u64())
    })?;
    Ok(vec![
        ("sessions", "/ui/sessions".to_owned()),
        ("session", format!("/ui/sessions/{session}")),
        ("chats", "/ui/chats".to_owned()),
        ("chat", format!("/ui/chats/{session}/{chat}")),
        ("webhooks", "/ui/webhooks".to_owned()),
        ("webhook", format!("/ui/webhooks/{hook}")),
        ("keys", "/ui/keys".to_owned()),
        ("events", "/ui/events".to_owned()),
        ("audit", "/ui/audit".to_owned()),
        ("missing", "/ui/sessions/sess_none".to_owned()),
        ("link", "/link".to_owned()),
    ])
}

fn show(
    browser: &Browser,
    axe: &Axe,
    path: &str,
    viewport: Viewport,
    picture: &Path,
) -> Result<()> {
    browser.resize(viewport)?;
    browser.open(path)?;
    browser.wait("document.querySelector('h1') && !document.querySelector('.skeleton')")?;
    browser.photograph(picture)?;
    axe.check(browser).with_context(|| format!("{path} {viewport:?}"))?;
    let excess = browser.run("return document.documentElement.scrollWidth - innerWidth", &[])?;
    ensure!(excess.as_i64() <= Some(0), "{path} is {excess} pixels wider than {viewport:?}");
    let title = browser.run("return document.title", &[])?;
    ensure!(title != "owned", "{path} runs hostile text");
    let console = browser.console()?;
    ensure!(console.is_empty(), "{path} writes to the console: {console:?}");
    Ok(())
}

/// Opens a session of another organization, and compares with a session that never existed.
fn foreign_is_missing(deployment: &Deployment, browser: &Browser) -> Result<()> {
    let other = deployment.stack.key("zeta", &["manage"])?;
    let other = deployment.stack.api.with_credential(Some(other));
    let spec = json!({ "label": "secret of zeta" });
    let made = other.post("/api/v1/sessions", &spec)?.expect(201)?.json();
    let foreign = made["id"].as_str().context("a session has an id")?;
    let mut texts = Vec::new();
    for id in [foreign, "sess_01JGXS1DN00000000000000001"] {
        browser.open(&format!("/ui/sessions/{id}"))?;
        browser.wait("document.querySelector('h1')?.textContent === 'This does not exist'")?;
        texts.push(browser.run("return document.querySelector('main').innerHTML", &[])?);
    }
    ensure!(texts[0] == texts[1], "{texts:?} differ");
    Ok(())
}
