//! A browser that a test drives, by the protocol of chromedriver
//! (<https://www.w3.org/TR/webdriver2/>) and the commands of Chromium.

use std::{env, fs, path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use testbed::{client::Api, folder::Folder, ports, process::Process, wait};

const MISSING: &str = "chromedriver is not on the PATH: `apt-get install chromium-driver`";
/// Time within which a page must show what a test waits for.
const PATIENCE: Duration = Duration::from_secs(20);
/// Upper bound of one command; starting a browser takes longest.
const COMMAND: Duration = Duration::from_secs(60);
/// Returns the second heading of the page, which tells how a link has ended.
pub(crate) const HEADING: &str = "return document.querySelector('h2')?.textContent ?? ''";

/// The window of a test.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Viewport {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) dark: bool,
}

/// The window of tests that do not test the layout.
pub(crate) const DESKTOP: Viewport = Viewport { width: 1280, height: 900, dark: false };

/// A browser with a profile of its own.
#[derive(Debug)]
pub(crate) struct Browser {
    // Dropped in this order: chromedriver ends its browser before the folder is removed.
    _driver: Process,
    api: Api,
    session: String,
    origin: String,
    _profile: Folder,
}

impl Browser {
    /// Starts a browser for the pages of an origin.
    ///
    /// # Errors
    /// When there is no chromedriver, or the browser does not start.
    pub(crate) fn start(origin: &str, log: &Path) -> Result<Self> {
        let path = env::var_os("PATH").unwrap_or_default();
        let program = env::split_paths(&path).map(|folder| folder.join("chromedriver"));
        let program = program.into_iter().find(|program| program.is_file()).context(MISSING)?;
        let (port, profile) = (ports::free()?, Folder::new("browser")?);
        fs::write(log, "")?;
        let mut command = Command::new(program);
        command.arg(format!("--port={port}"));
        let driver = Process::spawn("chromedriver", &mut command, Some(log))?;
        let api = Api::new(&format!("http://127.0.0.1:{port}"), None).with_timeout(COMMAND);
        wait::until_true("chromedriver answers", PATIENCE, || {
            Ok(api.get("/status")?.json()["value"]["ready"] == true)
        })?;
        // Root has no sandbox, and a test needs none of the services of a person's browser.
        let arguments = [
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--hide-scrollbars".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--disable-background-networking".to_owned(),
            "--lang=en-US".to_owned(),
            // A host that is not loopback, for pages without HTTPS.
            "--host-resolver-rules=MAP berth.test 127.0.0.1".to_owned(),
            format!("--user-data-dir={}", profile.path().display()),
        ];
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let made = api.post("/session", &capabilities)?.expect(200)?.json();
        let session = made["value"]["sessionId"].as_str().context("a session has an id")?;
        let session = format!("/session/{session}");
        let browser =
            Self { _driver: driver, api, session, origin: origin.to_owned(), _profile: profile };
        browser.resize(DESKTOP)?;
        Ok(browser)
    }

    /// Opens a page of the origin.
    pub(crate) fn open(&self, path: &str) -> Result<()> {
        self.go_to(&format!("{}{path}", self.origin))
    }

    /// Opens a page of any origin.
    pub(crate) fn go_to(&self, url: &str) -> Result<()> {
        self.post("/url", &json!({ "url": url })).map(drop)
    }

    /// Returns the text of an element.
    pub(crate) fn text(&self, selector: &str) -> Result<String> {
        let script = "return document.querySelector(arguments[0])?.textContent";
        let text = self.run(script, &[json!(selector)])?;
        Ok(text.as_str().with_context(|| format!("no {selector}"))?.to_owned())
    }

    /// Returns the handle of the tab that the browser shows.
    pub(crate) fn tab(&self) -> Result<String> {
        let reply = self.api.get(&format!("{}/window", self.session))?.expect(200)?.json();
        Ok(reply["value"].as_str().context("a tab has a handle")?.to_owned())
    }

    /// Opens a tab and shows the tab; returns the handle.
    pub(crate) fn new_tab(&self) -> Result<String> {
        let made = self.post("/window/new", &json!({ "type": "tab" }))?;
        let handle = made["handle"].as_str().context("a tab has a handle")?.to_owned();
        self.switch_to(&handle)?;
        Ok(handle)
    }

    /// Shows a tab.
    pub(crate) fn switch_to(&self, handle: &str) -> Result<()> {
        self.post("/window", &json!({ "handle": handle }))?;
        self.command("Page.bringToFront", &json!({}))
    }

    /// Closes the tab that the browser shows, and shows another one.
    pub(crate) fn close_tab_and_switch_to(&self, handle: &str) -> Result<()> {
        self.api.delete(&format!("{}/window", self.session))?.expect(200)?;
        self.switch_to(handle)
    }

    /// Returns the value of a script, which returns it by `return`.
    pub(crate) fn run(&self, script: &str, arguments: &[Value]) -> Result<Value> {
        self.post("/execute/sync", &json!({ "script": script, "args": arguments }))
    }

    /// Returns the value that a script gives to its last argument, a function.
    pub(crate) fn run_async(&self, script: &str, arguments: &[Value]) -> Result<Value> {
        self.post("/execute/async", &json!({ "script": script, "args": arguments }))
    }

    /// Waits until an expression of the page is true, and returns its value.
    ///
    /// # Errors
    /// With the text of the page, when the expression stays false.
    pub(crate) fn wait(&self, expression: &str) -> Result<Value> {
        let script = format!("return {expression}");
        let value = wait::until(expression, PATIENCE, || {
            let value = self.run(&script, &[])?;
            Ok((value != Value::Null && value != false && value != "").then_some(value))
        });
        value.with_context(|| {
            let text = self.run("return document.body.innerText.slice(0, 600)", &[]);
            format!("the page shows {text:?}")
        })
    }

    /// Waits for an element, and clicks it as a person does.
    pub(crate) fn click(&self, selector: &str) -> Result<()> {
        self.click_by("css selector", selector)
    }

    /// As [`Self::click`], for the button with this text.
    pub(crate) fn press(&self, text: &str) -> Result<()> {
        self.click_by("xpath", &format!("//button[normalize-space()='{text}']"))
    }

    fn click_by(&self, using: &str, value: &str) -> Result<()> {
        wait::until_true(value, PATIENCE, || {
            let element = self.element(using, value)?;
            self.post(&format!("/element/{element}/click"), &json!({}))?;
            Ok(true)
        })
    }

    /// Types into an element.
    pub(crate) fn type_into(&self, selector: &str, text: &str) -> Result<()> {
        let element = self.element("css selector", selector)?;
        self.post(&format!("/element/{element}/value"), &json!({ "text": text }))?;
        Ok(())
    }

    /// As [`Self::type_into`], in place of what the element has.
    pub(crate) fn replace(&self, selector: &str, text: &str) -> Result<()> {
        let element = self.element("css selector", selector)?;
        self.post(&format!("/element/{element}/clear"), &json!({}))?;
        self.type_into(selector, text)
    }

    fn element(&self, using: &str, value: &str) -> Result<String> {
        let found = self.post("/element", &json!({ "using": using, "value": value }))?;
        let id = found.as_object().and_then(|it| it.values().next()).and_then(Value::as_str);
        Ok(id.context("an element has an id")?.to_owned())
    }

    /// Changes the window and the colour scheme of the system.
    pub(crate) fn resize(&self, viewport: Viewport) -> Result<()> {
        let Viewport { width, height, dark } = viewport;
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.command("Emulation.setDeviceMetricsOverride", &metrics)?;
        let scheme = if dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.command("Emulation.setEmulatedMedia", &json!({ "features": features }))
    }

    fn command(&self, name: &str, parameters: &Value) -> Result<()> {
        self.post("/goog/cdp/execute", &json!({ "cmd": name, "params": parameters }))?;
        Ok(())
    }

    /// Writes a picture of the window.
    pub(crate) fn photograph(&self, file: &Path) -> Result<()> {
        let answer = self.api.get(&format!("{}/screenshot", self.session))?.expect(200)?.json();
        let picture = answer["value"].as_str().context("a picture is text in base64")?;
        fs::write(file, STANDARD.decode(picture)?)?;
        Ok(())
    }

    /// Returns the messages of the console since the last call, without those about responses that
    /// are errors, which tests expect.
    pub(crate) fn console(&self) -> Result<Vec<String>> {
        let entries = self.post("/se/log", &json!({ "type": "browser" }))?;
        let messages = entries.as_array().into_iter().flatten();
        let messages = messages.filter_map(|entry| entry["message"].as_str());
        Ok(messages
            .filter(|text| !text.contains("Failed to load resource"))
            .map(str::to_owned)
            .collect())
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let reply = self.api.post(&format!("{}{path}", self.session), body)?;
        let mut answer = reply.json();
        ensure!(reply.status == 200, "{path} {body}: {}", answer["value"]["message"]);
        Ok(answer["value"].take())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ends the browser; without this, it outlives chromedriver.
        let _ = self.api.delete(&self.session);
    }
}
