//! What people do: link a phone in both ways, change a session that somebody else changes, and keep
//! typed text when a session is deleted elsewhere.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use testbed::{checks::Checks, client::Credential};

use crate::{deployment::Deployment, driver::Browser};

type Act = fn(&Deployment, &Browser) -> Result<()>;

/// Checks the acts.
pub(crate) fn check(deployment: &Deployment, checks: &mut Checks) {
    let mut started = None;
    checks.check("acts: a browser starts", || {
        started = Some(deployment.browser("acts")?);
        Ok(())
    });
    let Some(browser) = started else { return };
    let acts: [(&str, Act); 6] = [
        ("a phone scans the code of a new session", link_by_qr_code),
        ("a phone types the code of the dialog", link_by_pairing_code),
        ("both versions show after a change elsewhere", conflict_keeps_typed_text),
        ("typed text stays after a deletion elsewhere", deletion_keeps_typed_text),
        ("a changed session changes its row", row_follows_events),
        ("typed text stays below the login after a revocation", revocation_keeps_typed_text),
    ];
    for (name, act) in acts {
        checks.check(&format!("acts: {name}"), || {
            act(deployment, &browser)?;
            let console = browser.console()?;
            ensure!(console.is_empty(), "the console has {console:?}");
            Ok(())
        });
    }
}

const LABEL: &str = "document.querySelector('input[name=label]')";

fn link_by_qr_code(deployment: &Deployment, browser: &Browser) -> Result<()> {
    let phone = deployment.stack.phones.new_phone("Scanner")?;
    browser.open("/ui/sessions")?;
    browser.press("New session")?;
    browser.wait("document.querySelector('dialog input[name=label]')")?;
    browser.type_into("dialog input[name=label]", "Scanned")?;
    browser.press("Create")?;
    browser.wait("document.querySelector('.qr img')?.complete")?;
    let list = deployment.api.get("/api/v1/sessions?label=Scanned")?.expect(200)?.json();
    let session = list["data"][0]["id"].as_str().context("the session exists")?.to_owned();
    phone.scan(&deployment.code(&session)?)?;
    let number = format!("+{}", phone.number);
    browser.wait("document.querySelector('.ending.good')")?;
    let text = browser.run("return document.querySelector('.linked').textContent", &[])?;
    ensure!(text.as_str().is_some_and(|text| text.contains(&number)), "the dialog shows {text}");
    browser.press("Close")?;
    browser.wait("!document.querySelector('dialog')")?;
    Ok(())
}

fn link_by_pairing_code(deployment: &Deployment, browser: &Browser) -> Result<()> {
    let phone = deployment.stack.phones.new_phone("Typist")?;
    let session = deployment.session("Typed")?;
    browser.open(&format!("/ui/sessions/{session}"))?;
    browser.press("Link a phone")?;
    browser.press("Pairing code")?;
    browser.type_into("input[type=tel]", &format!("+{} ", phone.number))?;
    browser.press("Get a code")?;
    let code = browser.wait("document.querySelector('.code output')?.textContent")?;
    let code = code.as_str().context("a code is text")?;
    let (first, second) = code.split_at_checked(4).context("a code has two groups")?;
    phone.enter_code(&format!("{first}-{second}"))?;
    browser.wait("document.querySelector('.ending.good')")?;
    browser.press("Close")?;
    ensure!(deployment.view(&session)?["phoneNumber"] == phone.number, "another number is linked");
    Ok(())
}

fn conflict_keeps_typed_text(deployment: &Deployment, browser: &Browser) -> Result<()> {
    let session = deployment.session("Before")?;
    let path = format!("/api/v1/sessions/{session}");
    browser.open(&format!("/ui/sessions/{session}"))?;
    browser.wait(LABEL)?;
    browser.run(&format!("{LABEL}.value = ''"), &[])?;
    browser.type_into("input[name=label]", "Mine")?;
    deployment.api.patch(&path, &json!({ "label": "Theirs", "autoRead": true }))?.expect(200)?;
    browser.press("Save")?;
    browser.wait("document.querySelector('.notice table')?.textContent.includes('Theirs')")?;
    browser.press("Save mine")?;
    browser.wait("document.querySelector('h1').textContent === 'Mine'")?;
    let stored = deployment.view(&session)?;
    ensure!(
        (&stored["label"], &stored["autoRead"]) == (&json!("Mine"), &json!(true)),
        "stored: {stored}"
    );
    Ok(())
}

fn deletion_keeps_typed_text(deployment: &Deployment, browser: &Browser) -> Result<()> {
    let session = deployment.session("Doomed")?;
    browser.open(&format!("/ui/sessions/{session}"))?;
    browser.wait(LABEL)?;
    browser.wait("document.querySelector('.live.live')")?;
    browser.type_into("input[name=label]", " and typed")?;
    deployment.api.delete(&format!("/api/v1/sessions/{session}"))?.expect(204)?;
    browser.wait("document.querySelector('.notice.bad:not([hidden])')")?;
    let text = browser.run(&format!("return {LABEL}.value"), &[])?;
    ensure!(text == "Doomed and typed", "the field has {text}");
    Ok(())
}

fn row_follows_events(deployment: &Deployment, browser: &Browser) -> Result<()> {
    browser.open("/ui/sessions")?;
    browser.wait("document.querySelector('.live.live')")?;
    let session = deployment.session("Newcomer")?;
    let row = format!("document.querySelector('a[href$=\"{session}\"]')");
    browser.wait(&format!("{row}?.textContent === 'Newcomer'"))?;
    let path = format!("/api/v1/sessions/{session}");
    deployment.api.patch(&path, &json!({ "label": "Renamed" }))?.expect(200)?;
    browser.wait(&format!("{row}?.textContent === 'Renamed'"))?;
    deployment.api.delete(&path)?.expect(204)?;
    browser.wait(&format!("!{row}"))?;
    Ok(())
}

fn revocation_keeps_typed_text(deployment: &Deployment, _: &Browser) -> Result<()> {
    let session = deployment.session("Guarded")?;
    let spec = json!({ "name": "short-lived", "capabilities": ["manage"] });
    let made = deployment.api.post("/api/v1/api-keys", &spec)?.expect(201)?.json();
    let text = |name: &str| made[name].as_str().context("a key is text").map(str::to_owned);
    let browser = deployment.browser_with("revoked", &Credential::Key(text("key")?))?;
    browser.open(&format!("/ui/sessions/{session}"))?;
    browser.wait(LABEL)?;
    browser.wait("document.querySelector('.live.live')")?;
    browser.type_into("input[name=label]", " and typed")?;
    deployment.api.delete(&format!("/api/v1/api-keys/{}", text("id")?))?.expect(204)?;
    browser.wait("document.querySelector('dialog input[name=credential]')")?;
    let typed = browser.run(&format!("return {LABEL}.value"), &[])?;
    ensure!(typed == "Guarded and typed", "the field has {typed}");
    Ok(())
}
