//! Faults while a person types: each has its words on the page, nothing that was typed is lost, and
//! a repetition after a lost answer has one effect.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testbed::{checks::Checks, client::Credential, stack::Victim, wait};

use crate::{
    deployment::Deployment,
    driver::Browser,
    site_server::{Treatment, answer},
};

const LABEL: &str = "document.querySelector('input[name=label]')";
const ERROR: &str = "document.querySelector('.form-error:not([hidden])')?.textContent";

type LossCase = fn(&Deployment, &Browser) -> Result<()>;

/// Checks the faults. The last ones stop berth for a moment.
pub(crate) fn check(deployment: &mut Deployment, checks: &mut Checks) {
    let mut started = None;
    checks.check("losses: a browser starts", || {
        started = Some(deployment.browser("losses")?);
        Ok(())
    });
    let Some(browser) = started else { return };
    let cases: [(&str, LossCase); 8] = [
        ("a repetition after a lost answer creates one session", lost_answer_has_one_effect),
        ("a 503 and a 502 of a proxy have words, and the dialog stays", refusals_keep_the_dialog),
        ("a list that cannot be read is not empty", unreadable_list_says_so),
        ("a login with the same rights continues the page", login_continues_the_page),
        ("a session deleted in another window, then saved", saving_a_deleted_session),
        ("a session deleted in another window ends the linking dialog", deletion_ends_the_dialog),
        ("a webhook that somebody else changed is saved by choice", webhook_conflict),
        ("a text that is refused stays in its field", refused_text_stays),
    ];
    for (name, case) in cases {
        checks.check(&format!("losses: {name}"), || {
            let outcome = case(deployment, &browser);
            deployment.proxy.treat_none();
            outcome?;
            check_console(&browser)
        });
    }
    checks.check("losses: a page outlives a killed berth", || {
        page_outlives_berth(deployment, &browser)?;
        check_console(&browser)
    });
}

fn check_console(browser: &Browser) -> Result<()> {
    let console = browser.console()?;
    ensure!(console.is_empty(), "the console has {console:?}");
    Ok(())
}

/// Checks that the visible error contains these words, and a field still has what was typed.
fn check_kept(browser: &Browser, words: &str, field: &str, typed: &str) -> Result<()> {
    let error = browser.wait(ERROR)?;
    ensure!(error.as_str().is_some_and(|it| it.contains(words)), "the dialog says {error}");
    let value = browser.run(&format!("return document.querySelector(\"{field}\").value"), &[])?;
    ensure!(value == typed, "the field has {value}");
    Ok(())
}

fn begin_session(browser: &Browser, label: &str) -> Result<()> {
    browser.open("/ui/sessions")?;
    browser.press("New session")?;
    browser.wait("document.querySelector('dialog input[name=label]')")?;
    browser.type_into("dialog input[name=label]", label)
}

fn lost_answer_has_one_effect(deployment: &Deployment, browser: &Browser) -> Result<()> {
    begin_session(browser, "Only once")?;
    deployment.proxy.treat("POST /api/v1/sessions ", Treatment::AnswerLost);
    browser.press("Create")?;
    check_kept(browser, "cannot be reached", "dialog input[name=label]", "Only once")?;
    deployment.proxy.treat_none();
    browser.press("Create")?;
    browser.wait("document.querySelector('dialog.linking')")?;
    let list = deployment.api.get("/api/v1/sessions?label=Only%20once")?.expect(200)?.json();
    ensure!(list["data"].as_array().map(Vec::len) == Some(1), "there are {list}");
    Ok(())
}

fn refusals_keep_the_dialog(deployment: &Deployment, browser: &Browser) -> Result<()> {
    let body = json!({ "error": { "code": "unavailable", "message": "the store is busy", "details": {} } });
    let busy = answer("503 Busy", "application/json", "Retry-After: 7\r\n", &body.to_string());
    let proxy = answer("502 Bad Gateway", "text/html", "", "<h1>Bad Gateway</h1>");
    begin_session(browser, "Refused")?;
    for (treatment, words) in
        [(busy, "Try again in \u{2068}7\u{2069} s"), (proxy, "\u{2068}502\u{2069}")]
    {
        deployment.proxy.treat("POST /api/v1/sessions ", Treatment::Answered(treatment));
        browser.press("Create")?;
        browser.wait("!document.querySelector('dialog [aria-busy]')")?;
        check_kept(browser, words, "dialog input[name=label]", "Refused")?;
    }
    deployment.proxy.treat_none();
    browser.press("Create")?;
    browser.wait("document.querySelector('dialog.linking')").map(drop)
}

fn unreadable_list_says_so(deployment: &Deployment, browser: &Browser) -> Result<()> {
    let proxy = answer("502 Bad Gateway", "text/html", "", "<h1>Bad Gateway</h1>");
    for path in ["sessions", "webhooks", "api-keys", "audit"] {
        deployment.proxy.treat(&format!("GET /api/v1/{path}"), Treatment::Answered(proxy.clone()));
        let page = if path == "api-keys" { "keys" } else { path };
        browser.open(&format!("/ui/{page}"))?;
        browser.wait(
            "document.querySelector('[role=alert]:not([hidden])')?.textContent.includes('502')",
        )?;
        let empty = browser
            .run("return document.querySelector('.empty:not([hidden])')?.textContent", &[])?;
        ensure!(empty.is_null(), "{path} shows {empty}");
        deployment.proxy.treat_none();
        browser.press("Try again")?;
        browser.wait("document.querySelector('tbody tr:not(.skeleton), .feed li')")?;
    }
    Ok(())
}

fn login_continues_the_page(deployment: &Deployment, _: &Browser) -> Result<()> {
    let session = deployment.session("Continued")?;
    let spec = json!({ "name": "ends", "capabilities": ["manage"] });
    let ends = deployment.api.post("/api/v1/api-keys", &spec)?.expect(201)?.json();
    let next = deployment.api.post("/api/v1/api-keys", &spec)?.expect(201)?.json();
    let text = |key: &Value, name: &str| key[name].as_str().context("text").map(str::to_owned);
    let browser = deployment.browser_with("continued", &Credential::Key(text(&ends, "key")?))?;
    browser.open(&format!("/ui/sessions/{session}"))?;
    browser.wait(LABEL)?;
    browser.wait("document.querySelector('.live.live')")?;
    browser.replace("input[name=label]", "Typed before")?;
    deployment.api.delete(&format!("/api/v1/api-keys/{}", text(&ends, "id")?))?.expect(204)?;
    browser.wait("document.querySelector('dialog input[name=credential]')")?;
    browser.type_into("dialog input[name=credential]", &text(&next, "key")?)?;
    browser.click("dialog button[type=submit]")?;
    browser.wait("!document.querySelector('dialog')")?;
    browser.wait("document.querySelector('.live.live')")?;
    browser.press("Save")?;
    browser.wait("document.querySelector('h1').textContent === 'Typed before'")?;
    ensure!(deployment.view(&session)?["label"] == "Typed before", "nothing was saved");
    Ok(())
}

fn saving_a_deleted_session(deployment: &Deployment, browser: &Browser) -> Result<()> {
    let session = deployment.session("Soon gone")?;
    browser.open(&format!("/ui/sessions/{session}"))?;
    browser.wait(LABEL)?;
    browser.replace("input[name=label]", "Typed for nothing")?;
    deployment.api.delete(&format!("/api/v1/sessions/{session}"))?.expect(204)?;
    browser.wait("document.querySelector('.notice.bad:not([hidden])')")?;
    browser.press("Save")?;
    check_kept(browser, "not found", "input[name=label]", "Typed for nothing")
}

fn deletion_ends_the_dialog(deployment: &Deployment, browser: &Browser) -> Result<()> {
    let session = deployment.session("Gone while linking")?;
    browser.open(&format!("/ui/sessions/{session}"))?;
    browser.press("Link a phone")?;
    browser.wait("document.querySelector('.qr img')?.complete")?;
    deployment.api.delete(&format!("/api/v1/sessions/{session}"))?.expect(204)?;
    browser.wait("document.querySelector('.ending.bad')?.textContent.includes('deleted')").map(drop)
}

fn webhook_conflict(deployment: &Deployment, browser: &Browser) -> Result<()> {
    let spec = json!({ "url": "https://receiver.invalid/first", "events": ["session.*"] });
    let made = deployment.api.post("/api/v1/webhooks", &spec)?.expect(201)?.json();
    let id = made["id"].as_str().context("a webhook has an id")?;
    browser.open(&format!("/ui/webhooks/{id}"))?;
    browser.press("Change")?;
    browser.wait("document.querySelector('dialog input[name=url]')")?;
    browser.replace("dialog input[name=url]", "https://receiver.invalid/mine")?;
    let path = format!("/api/v1/webhooks/{id}");
    deployment.api.patch(&path, &json!({ "ordered": false }))?.expect(200)?;
    browser.press("Save")?;
    let mine = "https://receiver.invalid/mine";
    check_kept(browser, "changed", "dialog input[name=url]", mine)?;
    browser.press("Save")?;
    browser.wait(&format!("document.querySelector('h1').textContent === '{mine}'"))?;
    let stored = deployment.api.get(&path)?.expect(200)?.json();
    ensure!(stored["url"] == mine && stored["ordered"] == false, "stored: {stored}");
    Ok(())
}

fn refused_text_stays(deployment: &Deployment, browser: &Browser) -> Result<()> {
    let (session, _) = deployment.linked("Writes", "Writer")?;
    let to = deployment.stack.phones.new_phone("Reader")?;
    let path = format!("/api/v1/sessions/{session}/messages");
    let first = json!({ "to": to.number, "type": "text", "text": "first" });
    let chat = wait::until("the linked session sends", Duration::from_secs(20), || {
        Ok(deployment.api.post(&path, &first)?.json()["chatId"].as_u64())
    })?;
    browser.open(&format!("/ui/chats/{session}/{chat}"))?;
    browser.wait("document.querySelector('textarea[name=text]')")?;
    browser.type_into("textarea[name=text]", "do not lose me")?;
    let body = json!({ "error": { "code": "unavailable", "message": "the gateway does not answer", "details": {} } });
    let busy = answer("503 Busy", "application/json", "Retry-After: 3\r\n", &body.to_string());
    deployment.proxy.treat(&format!("POST {path}"), Treatment::Answered(busy));
    browser.press("Send")?;
    browser.wait("document.querySelector('.write .fault:not([hidden])')?.textContent.includes('does not answer')")?;
    let kept = browser.run("return document.querySelector('textarea[name=text]').value", &[])?;
    ensure!(kept == "do not lose me", "the field has {kept}");
    deployment.proxy.treat(&format!("POST {path}"), Treatment::AnswerLost);
    browser.press("Send")?;
    browser.wait("document.querySelector('.write .fault:not([hidden])')?.textContent.includes('cannot be reached')")?;
    deployment.proxy.treat_none();
    browser.press("Send")?;
    browser.wait("document.querySelector('textarea[name=text]').value === ''")?;
    let lines = "[...document.querySelectorAll('.line')].filter((it) => it.textContent.includes('do not lose me')).length";
    browser.wait(&format!("{lines} === 1"))?;
    Ok(())
}

fn page_outlives_berth(deployment: &mut Deployment, browser: &Browser) -> Result<()> {
    let session = deployment.session("Survivor")?;
    browser.open(&format!("/ui/sessions/{session}"))?;
    browser.wait(LABEL)?;
    browser.wait("document.querySelector('.live.live')")?;
    browser.replace("input[name=label]", "Typed meanwhile")?;
    deployment.stack.kill(Victim::Berth)?;
    browser
        .wait("document.querySelector('.live.lost')?.textContent.includes('Connection lost')")?;
    browser.press("Save")?;
    check_kept(browser, "cannot be reached", "input[name=label]", "Typed meanwhile")?;
    // A page that is opened meanwhile says why it is not there.
    browser.run("document.querySelector('a[href=\"/ui/webhooks\"]').click()", &[])?;
    browser.wait(
        "document.querySelector('main [role=alert]')?.textContent.includes('cannot be reached')",
    )?;
    browser.run("history.back()", &[])?;
    deployment.stack.recover()?;
    browser.press("Try again")?;
    browser.wait(LABEL)?;
    browser.wait("document.querySelector('.live.live')")?;
    browser.replace("input[name=label]", "Saved after all")?;
    browser.press("Save")?;
    browser.wait("document.querySelector('h1').textContent === 'Saved after all'")?;
    Ok(())
}
