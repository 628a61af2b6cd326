//! A message is one of a chat, a sender and an id: stored and told once, and not replaced by others.

use acceptance::{
    deployment::Deployment,
    messenger::{Messenger, PROMPT, each_once, text, texts},
    webhook::Webhook,
};
use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use testbed::{
    receiver::{Delivery, Receiver},
    sessions::PATIENCE,
    stack::Victim,
    wait,
};

use crate::each_database;

each_database!(shared: crafted_id_neither_replaces_nor_hides_a_message);
each_database!(exclusive: redelivered_message_is_stored_and_reported_once);

/// Row 4: WhatsApp delivers again what it got no receipt for, also after the node died between the
/// journal and the receipt. The message, its event and its delivery stay one.
fn redelivered_message_is_stored_and_reported_once(deployment: &mut Deployment) -> Result<()> {
    let messenger = Messenger::start(deployment, "Once")?;
    let contact = deployment.stack.phones.new_phone("Writer")?;
    let receiver = Receiver::start()?;
    Webhook::create(&messenger.session.api, &receiver.url(), json!({ "events": ["message"] }))?;
    let (number, device) = (messenger.phone.number.clone(), messenger.device()?);
    let fault = json!({ "on": "receipt", "action": "swallow", "times": null, "from": number });
    let phones = deployment.stack.phones.clone();
    let fault = phones.add_fault(&fault)?;
    let bodies: Vec<_> = (0..5).map(|number| format!("text {number}")).collect();
    let ids = contact.send_texts(&number, &bodies)?;
    let listed = messenger.until_messages(5, PROMPT)?;
    let delivered = |id: &str| -> Result<usize> {
        let stanzas = phones.stanzas(&number, device)?.stanzas;
        let is_it = |it: &&testbed::simulated_network::DeviceStanza| {
            it.direction == "out" && it.kind == "message" && it.id.as_deref() == Some(id)
        };
        Ok(stanzas.iter().filter(is_it).count())
    };
    for (victim, times) in [(Victim::Gateway, 2), (Victim::Both, 3)] {
        deployment.stack.kill(victim)?;
        deployment.stack.recover()?;
        wait::until_true("WhatsApp delivers again", PATIENCE, || {
            ids.iter().try_fold(true, |all, id| Ok(all && delivered(id)? >= times))
        })?;
    }
    phones.remove_fault(fault)?;
    deployment.stack.kill(Victim::Gateway)?;
    deployment.stack.recover()?;
    // The queue of WhatsApp is empty when the receipts have arrived.
    wait::until_true("the phone of the sender has all receipts", PATIENCE, || {
        let last = ids.last().context("an id")?;
        Ok(contact.messages_with_id(last)?.iter().any(|it| it.has_receipt("delivered", None)))
    })?;
    let marker = messenger.write(&contact, "marker")?;
    let all = messenger.until_messages(6, PATIENCE)?;
    ensure!(all[..5] == listed[..], "a message has changed: {all:?}");
    let mut expected = ids.clone();
    expected.push(marker);
    let events = messenger.events("message")?;
    let told: Vec<_> = events.iter().map(|event| event["payload"].clone()).collect();
    ensure!(texts(&told, "waMessageId")? == expected, "events: {events:?}");
    let event_ids = texts(&events, "id")?;
    let is_last = |all: &[Delivery]| all.iter().any(|it| it.id() == event_ids[5]);
    let requests = receiver.until("the last text arrives", PATIENCE, is_last)?;
    // A killed router may repeat a request, with the id of the event.
    let mut of_requests: Vec<_> = requests.iter().map(|it| it.id().to_owned()).collect();
    for request in &requests {
        ensure!(events.contains(&request.event()), "no event: {}", request.event());
    }
    of_requests.sort();
    of_requests.dedup();
    each_once(&of_requests, &event_ids)
}

/// Row 4: the id of another sender's message in the same or another chat makes a second message.
fn crafted_id_neither_replaces_nor_hides_a_message(deployment: &Deployment) -> Result<()> {
    let messenger = Messenger::start(deployment, "Target")?;
    let phones = &deployment.stack.phones;
    let (honest, mallory) = (phones.new_phone("Honest")?, phones.new_phone("Mallory")?);
    let number = messenger.phone.number.clone();
    let honest_id = messenger.write(&honest, "honest")?;
    let own_id = messenger.send_text(&mallory, "from the session")?;
    let before = messenger.until_messages(2, PROMPT)?;
    // The id of a contact's message, of a message of the session, and of a message to come.
    let future_id = "3EB0C0FFEE00C0FFEE0001";
    for id in [honest_id.as_str(), own_id.as_str(), future_id] {
        mallory.send(&json!({ "to": number, "id": id, "text": "crafted" }))?;
    }
    messenger.until_messages(5, PROMPT)?;
    honest.send(&json!({ "to": number, "id": future_id, "text": "also honest" }))?;
    let all = messenger.until_messages(6, PROMPT)?;
    for message in &before {
        let id = message["id"].as_i64();
        let now = all.iter().find(|it| it["id"].as_i64() == id).context("it is gone")?;
        ensure!(now["body"] == message["body"], "{message} became {now}");
        ensure!(now["fromMe"] == message["fromMe"], "{message} became {now}");
    }
    let of = |phone: &testbed::phones::Phone| -> Result<Vec<(String, String)>> {
        let path = format!("/chats/{}/messages", phone.number);
        let mut messages = messenger.all(&path)?;
        messages.reverse();
        Ok(texts(&messages, "waMessageId")?.into_iter().zip(texts(&messages, "body")?).collect())
    };
    let pair = |id: &str, body: &str| (id.to_owned(), body.to_owned());
    ensure!(
        of(&honest)? == [pair(&honest_id, "honest"), pair(future_id, "also honest")],
        "{:?}",
        of(&honest)?
    );
    let expected = [
        pair(&own_id, "from the session"),
        pair(&honest_id, "crafted"),
        pair(&own_id, "crafted"),
        pair(future_id, "crafted"),
    ];
    ensure!(of(&mallory)? == expected, "{:?}", of(&mallory)?);
    // The crafted id does not change the fate of the session's own message.
    mallory.read(&own_id)?;
    messenger.until_status(&own_id, &["read"])?;
    let events = messenger.events("message")?;
    ensure!(events.len() == 5, "{events:?}");
    // The session sends to the chat with the crafted messages.
    messenger.send("", "", &text(&mallory.number, "still possible"))?.expect(200).map(drop)
}
