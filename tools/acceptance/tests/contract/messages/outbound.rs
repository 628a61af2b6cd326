//! Messages that sessions send to phones: each once, under one id, with the truth about its fate.

use acceptance::{
    deployment::Deployment,
    messenger::{Messenger, PROMPT, text as text_to, texts},
};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testbed::{
    event_stream::EventStream, parallel::run_on_threads, phones::Phone, sessions::PATIENCE, wait,
};

use crate::each_database;

each_database!(
    shared: text_is_sent_delivered_and_read,
    lost_acknowledgement_is_no_second_message,
    unknown_number_is_refused_at_once,
    refusal_of_whatsapp_is_the_failure,
    receipts_out_of_order_lower_nothing,
    waiting_message_leaves_after_the_outage_and_in_order,
    texts_of_many_callers_are_accepted_and_leave_in_order,
    cancelled_and_expired_messages_are_never_sent,
);

fn text(to: &Phone, words: &str) -> Value {
    text_to(&to.number, words)
}

/// Returns the number of messages with an id that a phone shows.
fn shown(phone: &Phone, wa_id: &str) -> Result<usize> {
    Ok(phone.messages_with_id(wa_id)?.len())
}

fn text_is_sent_delivered_and_read(deployment: &Deployment) -> Result<()> {
    let messenger = Messenger::start(deployment, "Sender")?;
    let contact = deployment.stack.phones.new_phone("Ada")?;
    let mut stream = EventStream::after(&messenger.session.api, "event=message.status", "")?;
    stream.block()?;
    let body = "Table 7 is free at eight 🧾";
    let wa_id = messenger.send_text(&contact, body)?;
    let received = contact.wait_message("the text arrives", PROMPT, |it| it.id == wa_id)?;
    ensure!(received.text.as_deref() == Some(body) && received.readable, "{received:?}");
    messenger.until_status(&wa_id, &["delivered"])?;
    contact.read(&wa_id)?;
    let message = messenger.until_status(&wa_id, &["read"])?;
    ensure!(message["source"] == "api" && message["body"] == body, "{message}");
    let mut told = Vec::new();
    while told.last() != Some(&json!("read")) {
        told.extend(stream.event()?.map(|event| event["payload"]["status"].clone()));
    }
    let levels = [json!("sent"), json!("delivered"), json!("read")];
    // A receipt that overtakes the acknowledgement leaves `sent` out.
    ensure!(told == levels || told == levels[1..], "{told:?}");
    Ok(())
}

/// Rows 5 and 18: an acknowledgement that is lost leads to the same id again, which a phone shows once.
fn lost_acknowledgement_is_no_second_message(deployment: &Deployment) -> Result<()> {
    let messenger = Messenger::start(deployment, "Lossy")?;
    let contact = deployment.stack.phones.new_phone("Once")?;
    messenger.send_text(&contact, "before")?;
    let number = messenger.phone.number.as_str();
    let fault = json!({ "on": "message", "action": "lose-ack", "from": number });
    deployment.stack.phones.add_fault(&fault)?;
    let reply = messenger.send("?async", "", &text(&contact, "once"))?.expect(202)?.json();
    let wa_id = reply["waMessageId"].as_str().context("an id")?.to_owned();
    contact.wait_message("the text arrives", PROMPT, |it| it.id == wa_id)?;
    messenger.until_status(&wa_id, &["sent", "delivered"])?;
    ensure!(shown(&contact, &wa_id)? == 1, "the phone shows the text twice");
    Ok(())
}

/// Row 20: a number without an account is refused at once.
fn unknown_number_is_refused_at_once(deployment: &Deployment) -> Result<()> {
    let messenger = Messenger::start(deployment, "Prober")?;
    let nobody = json!({ "to": "15550009999999", "text": "x" });
    let refused = messenger.send("", "", &nobody)?.expect_error(422, "undeliverable")?.json();
    ensure!(refused["error"]["details"]["reason"] == "not_on_whatsapp", "{refused}");
    let checked = messenger.get("/contacts/check?phone=15550009999999")?;
    ensure!(checked["registered"] == false, "{checked}");
    let contact = deployment.stack.phones.new_phone("Somebody")?;
    let checked = messenger.get(&format!("/contacts/check?phone={}", contact.number))?;
    ensure!(checked["registered"] == true && checked["phone"] == contact.number, "{checked}");
    ensure!(messenger.all("/messages")?.is_empty(), "a refused message is stored");
    Ok(())
}

fn refusal_of_whatsapp_is_the_failure(deployment: &Deployment) -> Result<()> {
    let messenger = Messenger::start(deployment, "Refused")?;
    let contact = deployment.stack.phones.new_phone("Guest")?;
    let number = messenger.phone.number.as_str();
    let fault = json!({ "on": "message", "action": "error", "code": 479, "from": number });
    deployment.stack.phones.add_fault(&fault)?;
    let refused = messenger.send("", "k", &text(&contact, "x"))?;
    let refused = refused.expect_error(422, "undeliverable")?.json();
    let details = &refused["error"]["details"];
    ensure!(details["reason"] == "rejected" && details["waCode"] == 479, "{refused}");
    let wa_id = details["waMessageId"].as_str().context("an id")?;
    let message = messenger.get(&format!("/messages/{wa_id}"))?;
    ensure!(message["status"] == "failed" && message["ackLevel"] == -1, "{message}");
    let again = messenger.send("", "k", &text(&contact, "x"))?;
    ensure!(again.header("idempotency-replayed") == Some("true"), "not a repetition");
    again.expect_error(422, "undeliverable")?;
    // The chat is free for the next message.
    messenger.send_text(&contact, "y").map(drop)
}

/// Row 19: levels only rise.
fn receipts_out_of_order_lower_nothing(deployment: &Deployment) -> Result<()> {
    let messenger = Messenger::start(deployment, "Levels")?;
    let contact = deployment.stack.phones.new_phone("Reader")?;
    let wa_id = messenger.send_text(&contact, "x")?;
    contact.wait_message("the text arrives", PROMPT, |it| it.id == wa_id)?;
    contact.read(&wa_id)?;
    messenger.until_status(&wa_id, &["read"])?;
    let device = messenger.phone.devices()?.first().context("a linked device")?.id;
    let from = format!("{}@s.whatsapp.net", contact.number);
    let late =
        json!({ "tag": "receipt", "attrs": { "id": wa_id, "from": from, "t": "1767254400" } });
    messenger.phone.send_stanza(device, &late)?;
    contact.send_text(&messenger.phone.number, "afterwards")?;
    messenger.until_messages(2, PROMPT)?;
    let message = messenger.get(&format!("/messages/{wa_id}"))?;
    ensure!(message["status"] == "read", "{message}");
    Ok(())
}

/// Row 27: an outage is no failure.
fn waiting_message_leaves_after_the_outage_and_in_order(deployment: &Deployment) -> Result<()> {
    let messenger = Messenger::start(deployment, "Patient")?;
    let contact = deployment.stack.phones.new_phone("Waiting")?;
    messenger.send_text(&contact, "first contact")?;
    let session = &messenger.session;
    session.api.post(&messenger.path(":stop"), &json!({}))?.expect(200)?;
    session.until_status("stopped")?;
    messenger.send("", "", &text(&contact, "x"))?.expect_error(503, "unavailable")?;
    for n in 0..3 {
        messenger.send("?async", "", &text(&contact, &format!("text {n}")))?.expect(202)?;
    }
    ensure!(messenger.all("/messages?status=queued")?.len() == 3, "three texts wait");
    session.api.post(&messenger.path(":start"), &json!({}))?.expect(200)?;
    session.until_status("working")?;
    wait::until_true("the queue is empty", PROMPT, || {
        Ok(messenger.all("/messages?status=queued")?.is_empty())
    })?;
    let received = contact.messages_in(&messenger.phone.number)?;
    let shown: Vec<_> = received.iter().filter_map(|it| it.text.as_deref()).collect();
    ensure!(shown == ["first contact", "text 0", "text 1", "text 2"], "{shown:?}");
    Ok(())
}

/// Callers of one session, a contact that answers, and the acknowledgements change the same rows.
fn texts_of_many_callers_are_accepted_and_leave_in_order(deployment: &Deployment) -> Result<()> {
    const CALLERS: usize = 16;
    const TEXTS: usize = 4;
    let messenger = Messenger::start(deployment, "Busy")?;
    messenger.send_without_limits()?;
    let contact = deployment.stack.phones.new_phone("Chatty")?;
    messenger.write(&contact, "hello")?;
    messenger.until_messages(1, PROMPT)?;
    run_on_threads(CALLERS + 1, |which| {
        for number in 0..TEXTS {
            if which == CALLERS {
                messenger.write(&contact, &format!("answer {number}"))?;
            } else {
                messenger.queue_text(&contact, &format!("{which} {number}"))?;
            }
        }
        Ok(Vec::<()>::new())
    })?;
    messenger.until_sent(PATIENCE)?;
    let mut own = messenger.until_messages(1 + (CALLERS + 1) * TEXTS, PROMPT)?;
    own.retain(|message| message["source"] == "api");
    own.sort_by_key(|message| message["id"].as_u64());
    let ids = texts(&own, "waMessageId")?;
    ensure!(ids.len() == CALLERS * TEXTS, "{} texts are listed", ids.len());
    messenger.until_shown(&contact, &ids)
}

fn cancelled_and_expired_messages_are_never_sent(deployment: &Deployment) -> Result<()> {
    let messenger = Messenger::start(deployment, "Regret")?;
    let contact = deployment.stack.phones.new_phone("Quiet")?;
    let session = &messenger.session;
    session.api.post(&messenger.path(":stop"), &json!({}))?.expect(200)?;
    session.until_status("stopped")?;
    let accepted = messenger.send("?async", "", &text(&contact, "cancelled"))?.expect(202)?.json();
    let wa_id = accepted["waMessageId"].as_str().context("an id")?;
    let cancelled =
        session.api.post(&messenger.path(&format!("/messages/{wa_id}:cancel")), &json!({}))?;
    ensure!(cancelled.expect(200)?.json()["status"] == "cancelled", "not cancelled");
    let soon = std::time::UNIX_EPOCH.elapsed()?.as_millis() + 1_500;
    let mut body = text(&contact, "expired");
    body["expiresAt"] = json!(u64::try_from(soon)?);
    let accepted = messenger.send("?async", "", &body)?.expect(202)?.json();
    let wa_id = accepted["waMessageId"].as_str().context("an id")?;
    let failed = messenger.until_status(wa_id, &["failed"])?;
    ensure!(failed["error"]["code"] == "expired", "{failed}");
    session.api.post(&messenger.path(":start"), &json!({}))?.expect(200)?;
    session.until_status("working")?;
    messenger.send_text(&contact, "the only one")?;
    let received = contact.messages()?;
    let shown: Vec<_> = received.iter().filter_map(|it| it.text.as_deref()).collect();
    ensure!(shown == ["the only one"], "{shown:?}");
    Ok(())
}
