//! A page in Chromium or Chrome that follows events with the browser's own `EventSource`.
//!
//! `EventSource` can send no header of its own. As a site does, the server of the page therefore
//! forwards the streams to berth and adds the credential, so that no credential is in a URL and no
//! CORS is necessary.

use std::{
    env, fs,
    path::PathBuf,
    process::Command,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use testbed::{client::Api, folder::Folder, process::Process, workspace::Workspace};

use crate::relay::{Cut, LocalAnswer, Relay};

const PAGE: &str = include_str!("../clients/event_source.html");
/// The names of the program in the packages of distributions and of Google.
const NAMES: [&str; 5] =
    ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];
const MISSING: &str = "neither Chromium nor Chrome is on the PATH: `apt-get install chromium`";

/// An `EventSource` of the page.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// Unique name.
    pub name: &'static str,
    /// Query of the stream: one parameter.
    pub query: &'static str,
    /// The cut of each connection in order. Further connections are not cut.
    pub cuts: &'static [Cut],
}

/// An open page.
#[derive(Debug)]
pub struct EventPage {
    // Dropped in this order: the browser ends before its server and its folder.
    browser: Process,
    /// The server of the page.
    pub relay: Relay,
    reports: Arc<Mutex<Vec<Value>>>,
    _profile: Folder,
}

impl EventPage {
    /// Opens the page, which opens its sources with the credential of `api`.
    ///
    /// # Errors
    /// When there is no browser, or the browser cannot be started.
    pub fn open(api: &Api, sources: &[Source]) -> Result<Self> {
        let browser = find_browser()?;
        let reports = Arc::default();
        let routes: Vec<_> = sources.iter().map(|source| (source.name, source.cuts)).collect();
        let relay = Relay::start(api, &routes, serve_page(Arc::clone(&reports)))?;
        let profile = Folder::new("browser")?;
        let sources = sources.iter().map(|source| format!("{}={}", source.name, source.query));
        let sources = sources.collect::<Vec<_>>().join("&");
        let mut command = Command::new(browser);
        // Root has no sandbox, and a test needs none of the services of a person's browser.
        command
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"])
            .args(["--no-first-run", "--disable-background-networking", "--disable-sync"])
            .args(["--disable-component-update", "--disable-dev-shm-usage"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(format!("http://{}/?{sources}", relay.address()));
        let log = Workspace::find()?.scratch("logs")?.join("browser.log");
        fs::write(&log, "")?;
        let browser = Process::spawn("the browser", &mut command, Some(&log))?;
        Ok(Self { browser, relay, reports, _profile: profile })
    }

    /// Returns the events that a source has dispatched, in order.
    ///
    /// # Errors
    /// When the browser has ended, `lastEventId` is not the id of an event, or the source has given
    /// up.
    pub fn events(&mut self, source: &str) -> Result<Vec<Value>> {
        self.browser.must_run()?;
        let reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        let mut events = Vec::new();
        for report in reports.iter().filter(|report| report["name"] == source) {
            // 2 is CLOSED: the source does not connect again.
            ensure!(report["state"] != 2, "the source {source} has given up");
            if let Some(event) = report.get("event") {
                ensure!(report["id"] == event["id"], "lastEventId of {report}");
                events.push(event.clone());
            }
        }
        Ok(events)
    }
}

fn find_browser() -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = env::split_paths(&path).collect();
    let programs =
        NAMES.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    programs.into_iter().find(|program| program.is_file()).context(MISSING)
}

/// Returns the page, and collects its reports.
fn serve_page(reports: Arc<Mutex<Vec<Value>>>) -> LocalAnswer {
    Box::new(move |target, body| {
        let text = if target.starts_with("GET /?") {
            PAGE
        } else if target == "POST /report" {
            let arrived: Vec<Value> = serde_json::from_slice(body).ok()?;
            reports.lock().unwrap_or_else(PoisonError::into_inner).extend(arrived);
            ""
        } else {
            return None;
        };
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nConnection: close";
        Some(format!("{head}\r\nContent-Length: {}\r\n\r\n{text}", text.len()).into_bytes())
    })
}
