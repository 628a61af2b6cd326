//! The life of a session: created, linked, talking, stopped, started, unlinked, logged out and deleted.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testbed::{
    phones::Phone,
    sessions::{PATIENCE, SESSIONS, path, path_of},
    wait,
};

use crate::narrator::{Narrator, explain};

/// Walks through the life of a session, with a look from another organization.
pub(crate) fn walk(
    show: &Narrator,
    other_organization: &Narrator,
    phone: &Phone,
    contact: &Phone,
) -> Result<()> {
    let id = attach(show, phone)?;
    talk(show, &id, phone, contact)?;
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

/// Sends a message to another phone, and receives its answer.
fn talk(show: &Narrator, id: &str, phone: &Phone, contact: &Phone) -> Result<()> {
    explain("Send a message to another phone. The answer comes when WhatsApp has it.");
    let text = json!({ "to": contact.number, "text": "Table 7 is free at eight." });
    let sent = show.post(&path_of(id, "/messages"), Some(&text))?.expect(200)?.json();
    let wa_id = sent["waMessageId"].as_str().context("a message has an id")?.to_owned();
    contact.wait_message("the message", PATIENCE, |message| message.id == wa_id)?;
    contact.read(&wa_id)?;
    explain("The other phone has read it, and answers.");
    let message = path_of(id, &format!("/messages/{wa_id}"));
    wait::until_true("the message is read", PATIENCE, || {
        Ok(show.api.get(&message)?.expect(200)?.json()["status"] == "read")
    })?;
    contact.send_text(&phone.number, "See you at eight!")?;
    let chat = path_of(id, &format!("/chats/{}/messages", contact.number));
    wait::until_true("two messages are listed", PATIENCE, || {
        let list = show.api.get(&chat)?.expect(200)?.json();
        Ok(list["data"].as_array().is_some_and(|messages| messages.len() == 2))
    })?;
    show.get(&chat)?.expect(200).map(drop)
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
