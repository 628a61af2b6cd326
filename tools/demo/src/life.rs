//! The life of a session on a simulated WhatsApp; each request is printed as a `curl` command.

use std::{thread, time::Duration};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use testbed::{
    client::{Api, Credential},
    http::Reply,
    phones::Phone,
    programs::Programs,
    sessions::{PATIENCE, SESSIONS, path, path_of},
    stack::Stack,
    wait,
    workspace::Workspace,
};

use crate::commands::Demo;

/// Interval in which the phone looks for QR codes with `--stay`.
const POLL: Duration = Duration::from_secs(1);

/// Starts the programs, walks through the life of a session, and stops or stays.
pub(crate) fn run(workspace: &Workspace, asked: &Demo) -> Result<()> {
    let programs = Programs::find(workspace, &asked.prebuilt)?;
    let stack = Stack::start(&programs, "demo", &workspace.scratch("logs")?, None, &[])?;
    println!(
        "\nberth, a gateway and a simulated WhatsApp run in a temporary folder.\n\
         berth listens on {}; no program connects to the real WhatsApp.",
        stack.api.base()
    );
    let key = stack.key("acme", &["manage"])?;
    let show = Narrator { api: stack.api.with_credential(Some(key.clone())), variable: "KEY" };
    println!("\n$ KEY=$(berth key create --org acme --name demo --capability manage)");
    let other = stack.key("zeta", &["manage"])?;
    let other_organization =
        Narrator { api: stack.api.with_credential(Some(other)), variable: "OTHER_KEY" };
    println!("$ OTHER_KEY=$(berth key create --org zeta --name demo --capability manage)");
    let phone = stack.phones.new_phone("Ada")?;
    walk(&show, &other_organization, &phone)?;
    if asked.stay { stay(&show.api, &key, &phone) } else { Ok(()) }
}

/// Sends requests and prints them.
struct Narrator {
    api: Api,
    variable: &'static str,
}

fn walk(show: &Narrator, other_organization: &Narrator, phone: &Phone) -> Result<()> {
    let id = attach(show, phone)?;
    explain("For another organization the session does not exist.");
    other_organization.get(&path(&id))?.expect(404)?;
    other_organization.get(SESSIONS)?.expect(200)?;
    stop_start_unlink(show, &id, phone)?;
    leave(show, &id, phone)
}

/// Creates a session and links it by QR code.
fn attach(show: &Narrator, phone: &Phone) -> Result<String> {
    explain("Create a session: one WhatsApp number, not yet linked.");
    let made = show.post(SESSIONS, Some(&json!({ "label": "Support" })))?.expect(201)?.json();
    let id = made["id"].as_str().context("a session has an id")?.to_owned();
    explain("Get its QR code (as a picture with `Accept: image/png` or `image/svg+xml`).");
    let shown = show.get(&path_of(&id, "/qr"))?.expect(200)?.json();
    explain(&format!(
        "The phone +{} scans it. From now on they speak WhatsApp's wire.",
        phone.number
    ));
    phone.scan(shown["code"].as_str().unwrap_or_default())?;
    show.until(&id, "status", &json!("working"))?;
    show.get(&path_of(&id, "/me"))?.expect(200)?;
    Ok(id)
}

/// Stops, starts and restarts the session; unlinks it on the phone and links it again.
fn stop_start_unlink(show: &Narrator, id: &str, phone: &Phone) -> Result<()> {
    explain("Stop and start: the device stays linked.");
    show.post(&path_of(id, ":stop"), None)?.expect(200)?;
    show.until(id, "status", &json!("stopped"))?;
    show.post(&path_of(id, ":start"), None)?.expect(200)?;
    show.until(id, "status", &json!("working"))?;
    explain("Restart: a new connection, the same device.");
    show.post(&path_of(id, ":restart"), None)?.expect(200)?;
    show.until(id, "status", &json!("working"))?;
    explain("Unlink on the phone: the session shows the reason.");
    phone.unlink(phone.devices()?.first().context("the phone shows a device")?.id)?;
    show.until(id, "deviceId", &Value::Null)?;
    explain("Link again.");
    let shown = show.get(&path_of(id, "/qr"))?.expect(200)?.json();
    phone.scan(shown["code"].as_str().unwrap_or_default())?;
    show.until(id, "status", &json!("working"))?;
    Ok(())
}

/// Logs out, links by a pairing code, and deletes the session.
fn leave(show: &Narrator, id: &str, phone: &Phone) -> Result<()> {
    explain("Log out: the device is unlinked on the phone.");
    show.post(&path_of(id, ":logout"), None)?.expect(200)?;
    show.until(id, "deviceId", &Value::Null)?;
    println!("  (the phone shows {} devices)", phone.devices()?.len());
    explain("Link once more, by a pairing code that is typed on the phone.");
    let ask = json!({ "phone": phone.number });
    let shown = show.post(&path_of(id, "/pairing-code"), Some(&ask))?.expect(200)?.json();
    phone.enter_code(shown["code"].as_str().unwrap_or_default())?;
    show.until(id, "status", &json!("working"))?;
    explain("Delete: gone for the owner at once; unlinked and wiped afterwards.");
    show.delete(&path(id))?.expect(204)?;
    show.get(&path(id))?.expect(404)?;
    wait::until_true("the phone shows no device", PATIENCE, || Ok(phone.devices()?.is_empty()))?;
    println!("  (the phone shows 0 devices)");
    Ok(())
}

impl Narrator {
    fn get(&self, path: &str) -> Result<Reply> {
        self.show("GET", path, None)
    }

    fn post(&self, path: &str, body: Option<&Value>) -> Result<Reply> {
        self.show("POST", path, body)
    }

    fn delete(&self, path: &str) -> Result<Reply> {
        self.show("DELETE", path, None)
    }

    /// Polls until the field has this value, and prints the last request.
    fn until(&self, id: &str, field: &str, value: &Value) -> Result<()> {
        println!("  (until {field} is {value})");
        wait::until_true(&format!("{field} is {value}"), PATIENCE, || {
            Ok(self.api.get(&path(id))?.expect(200)?.json()[field] == *value)
        })?;
        self.get(&path(id)).map(drop)
    }

    fn show(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Reply> {
        let how = if method == "GET" { String::new() } else { format!(" -X {method}") };
        let base = self.api.base();
        let what = body.map_or_else(String::new, |body| {
            format!(" -H 'Content-Type: application/json' -d '{body}'")
        });
        println!("\n$ curl{how} {base}{path} -H \"X-Api-Key: ${}\"{what}", self.variable);
        let text = body.map(Value::to_string);
        let reply = self.api.send(method, path, &[], text.as_deref().map(str::as_bytes))?;
        println!("  {}", reply.status);
        if !reply.body.is_empty() {
            let pretty = serde_json::to_string_pretty(&reply.json())?;
            println!("  {}", pretty.replace('\n', "\n  "));
        }
        Ok(reply)
    }
}

/// Keeps everything running; the phone links every session that shows a QR code.
fn stay(api: &Api, key: &Credential, phone: &Phone) -> Result<()> {
    println!(
        "\nEverything runs until Ctrl-C. The phone +{} links every session that shows a QR code.\n\n  \
         KEY={}\n  curl -X POST {base}{SESSIONS} -H \"X-Api-Key: $KEY\" \
         -H 'Content-Type: application/json' -d '{{\"start\":true}}'\n  \
         curl {base}{SESSIONS} -H \"X-Api-Key: $KEY\"\n",
        phone.number,
        key.text(),
        base = api.base(),
    );
    loop {
        thread::sleep(POLL);
        let waiting = testbed::sessions::list(api)?;
        for session in waiting.iter().filter(|session| session["status"] == "scan_qr_code") {
            let Some(id) = session["id"].as_str() else { bail!("a session without an id") };
            let shown = api.get(&path_of(id, "/qr?wait=0"))?;
            if let Some(code) = shown.json()["code"].as_str() {
                let scanned = phone.scan(code);
                println!("the phone scans {id}: {}", scanned.map_or("not yet", |_| "linked"));
            }
        }
    }
}

fn explain(text: &str) {
    println!("\n# {text}");
}
