//! The manners of sessions: pace, typing, reading, numbers, first contacts and disappearing messages.

use acceptance::{
    deployment::Deployment,
    messenger::{Messenger, PROMPT},
};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testbed::{phones::Phone, wait};

use crate::each_database;

each_database!(
    shared: rate_of_the_session_holds_messages_back,
    typing_is_shown_before_a_message,
    messages_are_read_by_request_and_by_setting,
    both_spellings_of_a_number_are_one_chat,
    refused_first_contact_pauses_first_contacts_only,
    disappearing_timer_of_a_chat_is_applied,
    phone_of_the_owner_continues_to_notify,
);

fn text(to: &str, text: &str) -> Value {
    json!({ "to": to, "text": text, "typing": 0 })
}

fn set(messenger: &Messenger, settings: &Value) -> Result<()> {
    messenger.session.api.patch(&messenger.path(""), settings)?.expect(200).map(drop)
}

/// Row 22: the pace of a session is kept by berth.
fn rate_of_the_session_holds_messages_back(deployment: &Deployment) -> Result<()> {
    let messenger = Messenger::start(deployment, "Paced")?;
    let contact = deployment.stack.phones.new_phone("Calm")?;
    set(&messenger, &json!({ "ratePerMin": 3 }))?;
    for n in 0..3 {
        messenger.send("", "", &text(&contact.number, &format!("{n}")))?.expect(200)?;
    }
    let refused = messenger.send("", "", &text(&contact.number, "over"))?;
    let seconds: u64 = refused.header("retry-after").context("Retry-After")?.parse()?;
    ensure!((1..=60).contains(&seconds), "{seconds}");
    refused.expect_error(429, "rate_limited")?;
    let queued = messenger.send("?async", "", &text(&contact.number, "later"))?.expect(202)?.json();
    ensure!(queued["queuePosition"] == 0, "{queued}");
    let received = contact.messages_in(&messenger.phone.number)?;
    ensure!(received.len() == 3, "{received:?}");
    set(&messenger, &json!({ "ratePerMin": 0 }))?;
    messenger.send("", "", &text(&contact.number, "no limit"))?.expect(200)?;
    wait::until_true("the queue is empty", PROMPT, || {
        Ok(messenger.all("/messages?status=queued")?.is_empty())
    })
}

fn typing_is_shown_before_a_message(deployment: &Deployment) -> Result<()> {
    let messenger = Messenger::start(deployment, "Typist")?;
    let contact = deployment.stack.phones.new_phone("Observer")?;
    let number = messenger.phone.number.as_str();
    messenger.send("", "", &text(&contact.number, "first"))?.expect(200)?;
    let body = json!({ "to": contact.number, "text": "second", "typing": 1200 });
    let sent = messenger.send("", "", &body)?.expect(200)?.json();
    let wa_id = sent["waMessageId"].as_str().context("an id")?;
    let received = contact.wait_message("the text arrives", PROMPT, |it| it.id == wa_id)?;
    let typing = |it: &testbed::phone_messages::PhoneObservation| {
        it.kind == "typing" && it.from == number && it.state == "composing"
    };
    let observed = contact.observations()?;
    let shown = observed.iter().find(|it| typing(it)).context("no typing was shown")?;
    ensure!(received.at >= shown.at + 1_000, "the text came {} ms later", received.at - shown.at);
    let chat = format!("/chats/{}/presence", contact.number);
    let path = messenger.path(&chat);
    let recording = json!({ "state": "recording" }).to_string();
    let headers = [("Content-Type", "application/json")];
    let api = &messenger.session.api;
    api.send("PUT", &path, &headers, Some(recording.as_bytes()))?.expect(204)?;
    wait::until_true("the recording is shown", PROMPT, || {
        Ok(contact.observations()?.iter().any(|it| it.from == number && it.state == "recording"))
    })
}

fn messages_are_read_by_request_and_by_setting(deployment: &Deployment) -> Result<()> {
    let messenger = Messenger::start(deployment, "Reader")?;
    let contact = deployment.stack.phones.new_phone("Author")?;
    let has_read = |phone: &Phone, id: &str| {
        let id = id.to_owned();
        wait::until_true("the receipt arrives", PROMPT, || {
            Ok(phone.messages_with_id(&id)?.iter().any(|it| it.has_receipt("read", None)))
        })
    };
    let first = messenger.write(&contact, "first")?;
    messenger.until_messages(1, PROMPT)?;
    let path = messenger.path(&format!("/chats/{}/read", contact.number));
    let chat = messenger.session.api.post(&path, &json!({}))?.expect(200)?.json();
    ensure!(chat["unreadCount"] == 0, "{chat}");
    has_read(&contact, &first)?;
    set(&messenger, &json!({ "autoRead": true }))?;
    let second = messenger.write(&contact, "second")?;
    has_read(&contact, &second)?;
    messenger.until_status(&second, &["read"]).map(drop)
}

/// Rows 13 and 14: numbers are spelled as WhatsApp spells them.
fn both_spellings_of_a_number_are_one_chat(deployment: &Deployment) -> Result<()> {
    let messenger = Messenger::start(deployment, "Speller")?;
    let contact = deployment.stack.phones.new_phone("Alias")?;
    let alias = format!("{}9", contact.number);
    contact.configure(&json!({ "aliases": [alias] }))?;
    let sent = messenger.send("", "", &text(&alias, "by alias"))?.expect(200)?.json();
    ensure!(sent["chatJid"] == format!("{}@s.whatsapp.net", contact.number), "{sent}");
    messenger.write(&contact, "answer")?;
    messenger.until_messages(2, PROMPT)?;
    let chats = messenger.all("/chats")?;
    ensure!(chats.len() == 1 && chats[0]["id"] == sent["chatId"], "{chats:?}");
    messenger.send("", "", &text(&format!("+{}", contact.number), "plain"))?.expect(200)?;
    ensure!(messenger.all("/chats")?.len() == 1, "a second chat");
    Ok(())
}

/// Row 21: a refused first contact pauses first contacts, and replies leave.
fn refused_first_contact_pauses_first_contacts_only(deployment: &Deployment) -> Result<()> {
    let messenger = Messenger::start(deployment, "Eager")?;
    let phones = &deployment.stack.phones;
    let (known, stranger, other) =
        (phones.new_phone("Known")?, phones.new_phone("Stranger")?, phones.new_phone("Other")?);
    messenger.write(&known, "hello")?;
    messenger.until_messages(1, PROMPT)?;
    let number = messenger.phone.number.as_str();
    let fault = json!({ "on": "message", "action": "error", "code": 463, "from": number });
    phones.add_fault(&fault)?;
    let refused = messenger.send("", "", &text(&stranger.number, "x"))?;
    let refused = refused.expect_error(422, "undeliverable")?.json();
    let details = &refused["error"]["details"];
    ensure!(details["reason"] == "reachout_limited" && details["retryAt"].is_u64(), "{refused}");
    messenger.send("?async", "", &text(&other.number, "waits"))?.expect(202)?;
    messenger.send("", "", &text(&known.number, "reply"))?.expect(200)?;
    ensure!(messenger.all("/messages?status=queued")?.len() == 1, "the first contact waits");
    ensure!(other.messages()?.is_empty(), "a first contact was sent in the pause");
    Ok(())
}

/// Row 26: the timer of a chat is applied to messages of the session.
fn disappearing_timer_of_a_chat_is_applied(deployment: &Deployment) -> Result<()> {
    let messenger = Messenger::start(deployment, "Fleeting")?;
    let contact = deployment.stack.phones.new_phone("Timer")?;
    let number = messenger.phone.number.as_str();
    let message = json!({ "to": number, "text": "x", "expiration": 604_800 });
    contact.send(&message)?;
    messenger.until_messages(1, PROMPT)?;
    let chat = messenger.get(&format!("/chats/{}", contact.number))?;
    ensure!(chat["ephemeralSeconds"] == 604_800, "{chat}");
    let sent = messenger.send("", "", &text(&contact.number, "y"))?.expect(200)?.json();
    let wa_id = sent["waMessageId"].as_str().context("an id")?;
    let received = contact.wait_message("the text arrives", PROMPT, |it| it.id == wa_id)?;
    ensure!(received.expiration == Some(604_800), "{received:?}");
    let message = messenger.get(&format!("/messages/{wa_id}"))?;
    ensure!(message["ephemeralSeconds"] == 604_800, "{message}");
    Ok(())
}

fn phone_of_the_owner_continues_to_notify(deployment: &Deployment) -> Result<()> {
    let messenger = Messenger::start(deployment, "Notified")?;
    let contact = deployment.stack.phones.new_phone("Caller")?;
    messenger.send("", "", &text(&contact.number, "x"))?.expect(200)?;
    // The account is shown as available for as long as sending takes.
    wait::until_true("the owner's phone notifies", PROMPT, || {
        let wa_id = messenger.write(&contact, "ring")?;
        let received = messenger.phone.wait_message("it arrives", PROMPT, |it| it.id == wa_id)?;
        Ok(received.notified)
    })
}
