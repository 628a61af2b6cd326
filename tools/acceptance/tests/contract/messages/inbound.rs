//! Messages that phones write: in the lists, in the stream and at a webhook.

use acceptance::{
    deployment::Deployment,
    messenger::{Messenger, PROMPT, each_once, texts},
    webhook::Webhook,
};
use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use testbed::{
    event_stream::EventStream,
    receiver::Receiver,
    sessions::{PATIENCE, path_of},
};

use crate::each_database;

each_database!(
    shared: text_of_a_phone_is_listed_streamed_and_delivered,
    texts_typed_on_the_own_phone_are_messages,
    messages_of_a_stopped_session_are_readable,
    crafted_content_costs_no_message,
    pages_of_a_long_chat_have_no_gap,
);

fn text_of_a_phone_is_listed_streamed_and_delivered(deployment: &Deployment) -> Result<()> {
    let messenger = Messenger::start(deployment, "Receiver")?;
    let contact = deployment.stack.phones.new_phone("Ada")?;
    let api = &messenger.session.api;
    let receiver = Receiver::start()?;
    Webhook::create(api, &receiver.url(), json!({ "events": ["message.*"] }))?;
    let mut stream = EventStream::after(api, "event=message.*", "")?;
    stream.block()?.context("a bookmark")?;
    let text = "Grüße an Tisch 7 🧾";
    let wa_id = messenger.write(&contact, text)?;
    let event = stream.event()?.context("the stream has no end")?;
    let number = contact.number.as_str();
    for (name, value) in [
        ("waMessageId", json!(wa_id)),
        ("body", json!(text)),
        ("direction", json!("in")),
        ("source", json!("contact")),
        ("chatPhone", json!(number)),
        ("senderName", json!("Ada")),
    ] {
        ensure!(event["payload"][name] == value, "{name}: {event}");
    }
    ensure!(event["stream"] == "messages" && event["sequence"] == 1, "{event}");
    let delivered = receiver.until("the message arrives", PROMPT, |all| !all.is_empty())?;
    ensure!(delivered[0].event() == event, "the webhook got another event");
    let listed = messenger.until_messages(1, PROMPT)?;
    ensure!(listed[0]["body"] == text && listed[0]["status"] == "delivered", "{listed:?}");
    let of_chat = messenger.all(&format!("/chats/{number}/messages"))?;
    ensure!(of_chat == listed, "the chat shows {of_chat:?}");
    let chats = messenger.all("/chats")?;
    ensure!(chats.len() == 1 && chats[0]["phone"] == number, "{chats:?}");
    ensure!(chats[0]["unreadCount"] == 1 && chats[0]["lastMessage"]["body"] == text, "{chats:?}");
    let stranger = deployment.organization()?.api;
    let path = path_of(&messenger.session.id, &format!("/messages/{wa_id}"));
    let reader = deployment.stack.key("stranger-of-messages", &["read"])?;
    deployment.with_credential(reader).get(&path)?.expect_error(404, "not_found")?;
    stranger.get(&path)?.expect_error(403, "forbidden").map(drop)
}

/// Row 2: the owner's own texts are messages of the session.
fn texts_typed_on_the_own_phone_are_messages(deployment: &Deployment) -> Result<()> {
    let messenger = Messenger::start(deployment, "Owner")?;
    let contact = deployment.stack.phones.new_phone("Guest")?;
    let wa_id = messenger.phone.send_text(&contact.number, "typed on the phone")?;
    let listed = messenger.until_messages(1, PROMPT)?;
    for (name, value) in [
        ("waMessageId", json!(wa_id)),
        ("source", json!("phone")),
        ("direction", json!("out")),
        ("fromMe", json!(true)),
        ("chatPhone", json!(contact.number)),
        ("body", json!("typed on the phone")),
    ] {
        ensure!(listed[0][name] == value, "{name}: {}", listed[0]);
    }
    Ok(())
}

fn messages_of_a_stopped_session_are_readable(deployment: &Deployment) -> Result<()> {
    let messenger = Messenger::start(deployment, "Stopped")?;
    let contact = deployment.stack.phones.new_phone("Guest")?;
    messenger.write(&contact, "before the stop")?;
    let listed = messenger.until_messages(1, PROMPT)?;
    messenger.session.api.action(&messenger.path(":stop"))?.expect(200)?;
    messenger.session.until_status("stopped")?;
    ensure!(messenger.until_messages(1, PROMPT)? == listed, "another message");
    messenger.write(&contact, "while it was stopped")?;
    messenger.session.api.action(&messenger.path(":start"))?.expect(200)?;
    let listed = texts(&messenger.until_messages(2, PROMPT)?, "body")?;
    ensure!(listed == ["before the stop", "while it was stopped"], "{listed:?}");
    Ok(())
}

/// Malformed content is stored, or told as undecryptable, and the session goes on.
fn crafted_content_costs_no_message(deployment: &Deployment) -> Result<()> {
    let messenger = Messenger::start(deployment, "Target")?;
    let contact = deployment.stack.phones.new_phone("Mallory")?;
    let session = messenger.phone.number.as_str();
    let combining = format!("a{}", "\u{301}".repeat(32_000));
    let mut expected = vec![messenger.write(&contact, &combining)?];
    for crafted in ["/////w==", "CgA=", "AAAA", ""] {
        let body = json!({ "to": session, "protobuf": crafted });
        expected.push(contact.send(&body)?.id);
    }
    expected.push(messenger.write(&contact, "afterwards")?);
    let listed = messenger.until_messages(expected.len(), PROMPT)?;
    each_once(&texts(&listed, "waMessageId")?, &expected)?;
    let long = messenger.get(&format!("/messages/{}", expected[0]))?;
    ensure!(long["body"].as_str() == Some(&*combining), "the text is not whole");
    let session = messenger.session.view()?;
    ensure!(session["status"] == "working", "{session}");
    Ok(())
}

fn pages_of_a_long_chat_have_no_gap(deployment: &Deployment) -> Result<()> {
    let messenger = Messenger::start(deployment, "Pages")?;
    let contact = deployment.stack.phones.new_phone("Writer")?;
    let bodies: Vec<_> = (0..120).map(|n| format!("text {n}")).collect();
    let ids = contact.send_texts(&messenger.phone.number, &bodies)?;
    messenger.until_messages(120, PATIENCE)?;
    let path = format!("/chats/{}/messages?limit=7", contact.number);
    let mut paged = messenger
        .pages(&path, || messenger.write(&contact, "while the pages are read").map(drop))?;
    paged.reverse();
    let shown = texts(&paged, "waMessageId")?;
    ensure!(shown == ids, "the pages show {shown:?}");
    Ok(())
}
