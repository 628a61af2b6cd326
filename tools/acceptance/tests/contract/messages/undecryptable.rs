//! Messages that cannot be decrypted: told, asked for again, and recovered, in both directions.

use acceptance::{
    deployment::Deployment,
    messenger::{Messenger, PROMPT},
    webhook::Webhook,
};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testbed::{receiver::Receiver, sessions::PATIENCE};

use crate::each_database;

each_database!(
    shared: undecryptable_message_is_reported_and_recovered,
    contact_that_cannot_decrypt_gets_the_text_again,
);

/// Row 15: a message that cannot be decrypted is told as such, and told again when it is recovered.
fn undecryptable_message_is_reported_and_recovered(deployment: &Deployment) -> Result<()> {
    let messenger = Messenger::start(deployment, "Reader")?;
    let contact = deployment.stack.phones.new_phone("Garbler")?;
    let receiver = Receiver::start()?;
    Webhook::create(&messenger.session.api, &receiver.url(), json!({ "events": ["message.*"] }))?;
    messenger.write(&contact, "readable")?;
    messenger.until_messages(1, PROMPT)?;
    let number = messenger.phone.number.as_str();
    let garbled = json!({ "to": number, "text": "at the second attempt", "garbled": true });
    let id = contact.send(&garbled)?.id;
    let of_it = |it: &Value| it["payload"]["waMessageId"] == id.as_str();
    let told = receiver.until("the recovered text is told", PATIENCE, |all| {
        all.iter().any(|it| of_it(&it.event()) && it.event()["payload"]["recovered"] == true)
    })?;
    let told: Vec<_> = told.iter().map(testbed::receiver::Delivery::event).filter(of_it).collect();
    let kinds: Vec<_> = told.iter().map(|it| it["event"].as_str().unwrap_or_default()).collect();
    ensure!(kinds == ["message.undecryptable", "message"], "{told:?}");
    let expected = [contact.number.clone() + "@s.whatsapp.net", contact.lid()? + "@lid"];
    let named = ["senderJid", "senderLid"].map(|name| told[0]["payload"][name].clone());
    ensure!(json!(named) == json!(expected), "{}", told[0]);
    ensure!(told[1]["payload"]["body"] == "at the second attempt", "{}", told[1]);
    let listed = messenger.until_messages(2, PROMPT)?;
    ensure!(listed[1]["body"] == "at the second attempt", "{}", listed[1]);
    ensure!(listed[1]["undecryptable"] == false, "{}", listed[1]);
    messenger.write(&contact, "afterwards")?;
    let listed = messenger.until_messages(3, PROMPT)?;
    ensure!(listed[2]["body"] == "afterwards", "{listed:?}");
    Ok(())
}

/// Row 15: a contact whose phone forgot its sessions asks again, and does not wait for the message.
fn contact_that_cannot_decrypt_gets_the_text_again(deployment: &Deployment) -> Result<()> {
    let messenger = Messenger::start(deployment, "Sender")?;
    let contact = deployment.stack.phones.new_phone("Forgetful")?;
    messenger.send_text(&contact, "first contact")?;
    contact.wait_message("it arrives", PROMPT, |it| it.readable)?;
    messenger.write(&contact, "answer")?;
    messenger.until_messages(2, PROMPT)?;
    // In an established session, a message cannot be decrypted without the session.
    contact.forget_sessions()?;
    let id = messenger.send_text(&contact, "for the forgetful")?;
    let healed = |it: &testbed::phone_messages::PhoneMessage| it.id == id && it.readable;
    let received = contact.wait_message("the text is readable", PATIENCE, healed)?;
    ensure!(received.text.as_deref() == Some("for the forgetful"), "{received:?}");
    ensure!(received.retries > 0, "the phone could decrypt at once: {received:?}");
    ensure!(contact.messages_with_id(&id)?.len() == 1, "the text is shown twice");
    messenger.until_status(&id, &["delivered"])?;
    let next = messenger.send_text(&contact, "afterwards")?;
    let received = contact.wait_message("it arrives", PROMPT, |it| it.id == next)?;
    ensure!(received.readable, "{received:?}");
    let events = messenger.events("message.status")?;
    let of_it = |it: &&Value| it["payload"]["waMessageId"] == id.as_str();
    let statuses: Vec<_> =
        events.iter().filter(of_it).map(|it| it["payload"]["status"].clone()).collect();
    let first = statuses.first().context("a status is told")?;
    ensure!(first == "sent" && !statuses.contains(&json!("failed")), "{statuses:?}");
    Ok(())
}
