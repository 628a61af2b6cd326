//! A session's whole life on a simulated WhatsApp, each request shown as the `curl` that makes it.

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

/// How often the phone looks for a QR code to scan while everything stays.
const GLANCE: Duration = Duration::from_secs(1);

/// Starts everything, walks through, stops everything; or stays.
pub(crate) fn run(workspace: &Workspace, asked: &Demo) -> Result<()> {
    let programs = Programs::find(workspace, &asked.prebuilt)?;
    let stack = Stack::start(&programs, "demo", &workspace.scratch("logs")?, None, &[])?;
    println!(
        "\nberth, a gateway and a simulated WhatsApp run in a temporary folder.\n\
         berth listens on {}; nothing here meets the real WhatsApp.",
        stack.api.base()
    );
    let key = stack.key("acme", &["manage"])?;
    let show = Narrator { api: stack.api.with_credential(Some(key.clone())), variable: "KEY" };
    println!("\n$ KEY=$(berth key create --org acme --name demo --capability manage)");
    let other = stack.key("zeta", &["manage"])?;
    let stranger = Narrator { api: stack.api.with_credential(Some(other)), variable: "OTHER_KEY" };
    println!("$ OTHER_KEY=$(berth key create --org zeta --name demo --capability manage)");
    let phone = stack.phones.new_phone("Ada")?;
    walk(&show, &stranger, &phone)?;
    if asked.stay { stay(&show.api, &key, &phone) } else { Ok(()) }
}

/// Makes requests where everybody can see them.
struct Narrator {
    api: Api,
    variable: &'static str,
}

fn walk(show: &Narrator, stranger: &Narrator, phone: &Phone) -> Result<()> {
    let id = attach(show, phone)?;
    tell("Another organization cannot learn that any of it exists.");
    stranger.get(&path(&id))?.expect(404)?;
    stranger.get(SESSIONS)?.expect(200)?;
    come_and_go(show, &id, phone)?;
    leave(show, &id, phone)
}

/// Makes a session and links it by QR.
fn attach(show: &Narrator, phone: &Phone) -> Result<String> {
    tell("A session: one WhatsApp number, to be attached.");
    let made = show.post(SESSIONS, Some(&json!({ "label": "Support" })))?.expect(201)?.json();
    let id = made["id"].as_str().context("a session has an id")?.to_owned();
    tell("Its QR code (as a picture with `Accept: image/png` or `image/svg+xml`).");
    let shown = show.get(&path_of(&id, "/qr"))?.expect(200)?.json();
    tell(&format!("The phone +{} scans it. From now on they speak WhatsApp's wire.", phone.number));
    phone.scan(shown["code"].as_str().unwrap_or_default())?;
    show.until(&id, "status", &json!("working"))?;
    show.get(&path_of(&id, "/me"))?.expect(200)?;
    Ok(id)
}

/// Stops, starts, restarts; is unlinked and linked again.
fn come_and_go(show: &Narrator, id: &str, phone: &Phone) -> Result<()> {
    tell("Stop and start: the device stays linked.");
    show.post(&path_of(id, ":stop"), None)?.expect(200)?;
    show.until(id, "status", &json!("stopped"))?;
    show.post(&path_of(id, ":start"), None)?.expect(200)?;
    show.until(id, "status", &json!("working"))?;
    tell("Restart: a new connection, the same device.");
    show.post(&path_of(id, ":restart"), None)?.expect(200)?;
    show.until(id, "status", &json!("working"))?;
    tell("Unlinked on the phone: the session says so.");
    phone.unlink(phone.devices()?.first().context("the phone shows a device")?.id)?;
    show.until(id, "deviceId", &Value::Null)?;
    tell("Linked again.");
    let shown = show.get(&path_of(id, "/qr"))?.expect(200)?.json();
    phone.scan(shown["code"].as_str().unwrap_or_default())?;
    show.until(id, "status", &json!("working"))?;
    Ok(())
}

/// Logs out, is linked by a code, and is deleted.
fn leave(show: &Narrator, id: &str, phone: &Phone) -> Result<()> {
    tell("Log out: the device is unlinked on the phone.");
    show.post(&path_of(id, ":logout"), None)?.expect(200)?;
    show.until(id, "deviceId", &Value::Null)?;
    println!("  (the phone shows {} devices)", phone.devices()?.len());
    tell("Linked once more, this time by a code typed on the phone.");
    let ask = json!({ "phone": phone.number });
    let shown = show.post(&path_of(id, "/pairing-code"), Some(&ask))?.expect(200)?.json();
    phone.enter_code(shown["code"].as_str().unwrap_or_default())?;
    show.until(id, "status", &json!("working"))?;
    tell("Deleted: gone for its owner at once, unlinked and wiped before long.");
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

    /// Asks until the session has this, and shows the last time.
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

/// Everything keeps running; whoever shows a QR code is linked by the phone.
fn stay(api: &Api, key: &Credential, phone: &Phone) -> Result<()> {
    println!(
        "\nEverything stays until Ctrl-C. The phone +{} links whatever session shows a QR code.\n\n  \
         KEY={}\n  curl -X POST {base}{SESSIONS} -H \"X-Api-Key: $KEY\" \
         -H 'Content-Type: application/json' -d '{{\"start\":true}}'\n  \
         curl {base}{SESSIONS} -H \"X-Api-Key: $KEY\"\n",
        phone.number,
        key.text(),
        base = api.base(),
    );
    loop {
        thread::sleep(GLANCE);
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

fn tell(text: &str) {
    println!("\n# {text}");
}
