//! The memory of berth with many open pages: each is a browser session of its own with the event
//! stream that a page holds.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use testbed::{
    client::Credential, event_stream::EventStream, process, programs::Programs, resident::Resident,
    stack::Stack, workspace::Workspace,
};

/// The largest number of browser sessions of one key.
const SESSIONS: usize = 20;
/// What the lists of the dashboard follow.
const KINDS: &str = "event=session.*&event=auth.*&event=api_key.*&event=webhook.*&event=link.*";

/// Opens pages, and prints the memory at each step.
pub(crate) fn measure(workspace: &Workspace, programs: &Programs, pages: usize) -> Result<()> {
    process::allow_connections()?;
    let stack = Stack::start(programs, "open-pages", &workspace.scratch("logs")?, None, &[])?;
    let berth = stack.berth_id().context("berth runs")?;
    let resident = |what: &str| -> Result<u64> {
        let Resident { all, anonymous, .. } = Resident::settled(berth)?;
        println!("{what}: {all} kB resident, of which {anonymous} kB are data");
        Ok(all)
    };
    let idle = resident("idle")?;
    let mut browsers = Vec::new();
    for organization in 0..pages.div_ceil(SESSIONS) {
        let key = stack.key(&format!("org-{organization}"), &["manage", "read", "send"])?;
        for _ in 0..SESSIONS.min(pages - browsers.len()) {
            let body = json!({ "credential": key.text() }).to_string();
            let page = [("Sec-Fetch-Site", "same-origin")];
            let login = stack.api.send("POST", "/auth/session", &page, Some(body.as_bytes()))?;
            let login = login.expect(204)?;
            let cookie = login.header("set-cookie").and_then(|set| set.split(';').next());
            let cookie = Credential::Cookie(cookie.context("a login sets a cookie")?.to_owned());
            let browser = stack.api.with_credential(Some(cookie));
            // What a page reads before it shows a list.
            browser.get("/api/v1/whoami")?.expect(200)?;
            browser.get("/api/v1/sessions")?.expect(200)?;
            browsers.push(browser);
        }
    }
    let logged_in = resident(&format!("{pages} logins"))?;
    let mut streams = Vec::new();
    for browser in &browsers {
        let mut stream = EventStream::after(browser, KINDS, "")?;
        stream.bookmark()?;
        streams.push(stream);
    }
    let open = resident(&format!("{pages} open pages"))?;
    for browser in browsers.iter().step_by(SESSIONS) {
        browser.post("/api/v1/sessions", &json!({ "label": "seen by all pages" }))?.expect(201)?;
    }
    for stream in &mut streams {
        let event = stream.event()?.context("the stream goes on")?;
        ensure!(event["event"] == "session.created", "{event}");
    }
    let used = resident("after an event on every page")?;
    let growth = |from: u64, to: u64| to.saturating_sub(from) * 1024 / pages as u64;
    println!(
        "a page: {} bytes of a login, {} bytes of an open stream, {} bytes after an event",
        growth(idle, logged_in),
        growth(logged_in, open),
        growth(logged_in, used)
    );
    Ok(())
}
