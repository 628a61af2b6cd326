//! People with a phone number and a LID: both names are shown, and a person has one chat.

use acceptance::{
    deployment::Deployment,
    messenger::{Messenger, PROMPT, text, texts},
    webhook::Webhook,
};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testbed::{phones::Phone, receiver::Receiver, sessions::PATIENCE, wait};

use crate::each_database;

each_database!(
    shared: number_behind_a_lid_is_learnt_later,
    contact_known_by_number_then_by_lid_has_one_chat,
    contact_known_by_lid_then_by_number_has_one_chat,
    two_chats_of_one_person_become_one,
);

/// A phone whose owner writes by LID.
fn migrated() -> Value {
    json!({ "lidMigrated": true })
}

fn hidden() -> Value {
    json!({ "lidMigrated": true, "numberHidden": true })
}

fn is_named(it: &Value, lid: &str, phone: Option<&str>) -> Result<()> {
    for (name, value) in [
        ("chatLid", json!(lid)),
        ("senderLid", json!(lid)),
        ("chatPhone", json!(phone)),
        ("senderPhone", json!(phone)),
    ] {
        let given = it[name].as_str().map(|text| text.trim_end_matches("@lid"));
        ensure!(json!(given) == value, "{name} is not {value}: {it}");
    }
    Ok(())
}

/// Row 6: the account writes by LID and a contact hides the number. When the number is learnt, new
/// payloads have both names and old rows show the number.
fn number_behind_a_lid_is_learnt_later(deployment: &Deployment) -> Result<()> {
    let messenger = Messenger::start_with(deployment, "Migrated", &migrated())?;
    let contact = deployment.stack.phones.new_phone("Hidden")?;
    contact.configure(&hidden())?;
    let lid = contact.lid()?;
    let receiver = Receiver::start()?;
    Webhook::create(&messenger.session.api, &receiver.url(), json!({ "events": ["message"] }))?;
    messenger.write(&contact, "who am I")?;
    let listed = messenger.until_messages(1, PROMPT)?;
    is_named(&listed[0], &lid, None)?;
    // An answer reaches a contact whose number is not known.
    let answer = json!({ "to": format!("{lid}@lid"), "text": "answer", "typing": 0 });
    let sent = messenger.send("", "", &answer)?.expect(200)?.json();
    contact.wait_message("the answer arrives", PROMPT, |it| sent["waMessageId"] == *it.id)?;
    contact.configure(&json!({ "numberHidden": false }))?;
    messenger.write(&contact, "it is me")?;
    let listed = messenger.until_messages(3, PROMPT)?;
    let number = contact.number.as_str();
    is_named(&listed[2], &lid, Some(number))?;
    wait::until("the old message shows the number", PROMPT, || {
        let listed = messenger.until_messages(3, PROMPT)?;
        is_named(&listed[0], &lid, Some(number)).map(Some)
    })?;
    let requests = receiver.until("both are told", PROMPT, |all| all.len() == 2)?;
    is_named(&requests[0].event()["payload"], &lid, None)?;
    is_named(&requests[1].event()["payload"], &lid, Some(number))?;
    let chats = messenger.all("/chats")?;
    ensure!(chats.len() == 1 && chats[0]["phone"] == number, "{chats:?}");
    ensure!(chats[0]["id"] == sent["chatId"], "the chat has another id: {chats:?}");
    for name in [number.to_owned(), format!("{lid}@lid"), sent["chatId"].to_string()] {
        let found = messenger.get(&format!("/chats/{name}"))?;
        ensure!(found["id"] == sent["chatId"], "{name}: {found}");
    }
    Ok(())
}

/// Returns the newest message of a chat and the cursor after it.
fn first_page(messenger: &Messenger, chat: &Value) -> Result<(Value, String)> {
    let page = messenger.get(&format!("/chats/{chat}/messages?limit=1"))?;
    let cursor = page["nextCursor"].as_str().context("a cursor")?.to_owned();
    Ok((page["data"][0].clone(), cursor))
}

/// Checks that one chat has these texts, newest first, and that the cursor continues
/// with these.
fn must_be_one_chat(
    messenger: &Messenger,
    contact: &Phone,
    id: &Value,
    bodies: &[&str],
    cursor: (&str, &[&str]),
) -> Result<()> {
    let chats = messenger.all("/chats")?;
    ensure!(chats.len() == 1, "{chats:?}");
    let names = [contact.number.clone(), format!("{}@lid", contact.lid()?), id.to_string()];
    for name in names {
        let chat = messenger.get(&format!("/chats/{name}"))?;
        ensure!(chat["id"] == chats[0]["id"], "{name} is {chat}");
        ensure!(chat["phone"] == contact.number.as_str(), "{chat}");
        let of_chat = texts(&messenger.all(&format!("/chats/{name}/messages"))?, "body")?;
        ensure!(of_chat == bodies, "{name} has {of_chat:?}");
    }
    let (cursor, rest) = cursor;
    let page = messenger.get(&format!("/chats/{id}/messages?cursor={cursor}"))?;
    let page = texts(page["data"].as_array().context("a list")?, "body")?;
    ensure!(page == rest, "the cursor continues with {page:?}");
    Ok(())
}

/// Row 7: a contact first by phone number, then by LID.
fn contact_known_by_number_then_by_lid_has_one_chat(deployment: &Deployment) -> Result<()> {
    let messenger = Messenger::start(deployment, "Before")?;
    let contact = deployment.stack.phones.new_phone("Guest")?;
    messenger.write(&contact, "one by number")?;
    messenger.write(&contact, "two by number")?;
    let listed = messenger.until_messages(2, PROMPT)?;
    let id = listed[0]["chatId"].clone();
    let (_, cursor) = first_page(&messenger, &id)?;
    contact.configure(&hidden())?;
    messenger.write(&contact, "three by LID")?;
    let listed = messenger.until_messages(3, PROMPT)?;
    ensure!(listed.iter().all(|it| it["chatId"] == id), "another chat: {listed:?}");
    let bodies = ["three by LID", "two by number", "one by number"];
    must_be_one_chat(&messenger, &contact, &id, &bodies, (&cursor, &bodies[2..]))
}

/// Row 7: a contact first by LID alone, then by phone number.
fn contact_known_by_lid_then_by_number_has_one_chat(deployment: &Deployment) -> Result<()> {
    let messenger = Messenger::start(deployment, "After")?;
    let contact = deployment.stack.phones.new_phone("Guest")?;
    contact.configure(&hidden())?;
    messenger.write(&contact, "one by LID")?;
    messenger.write(&contact, "two by LID")?;
    let listed = messenger.until_messages(2, PROMPT)?;
    let id = listed[0]["chatId"].clone();
    ensure!(listed[0]["chatPhone"].is_null(), "the number is known: {}", listed[0]);
    let (_, cursor) = first_page(&messenger, &id)?;
    contact.configure(&json!({ "lidMigrated": false, "numberHidden": false }))?;
    messenger.write(&contact, "three by number")?;
    messenger.until_messages(3, PROMPT)?;
    let bodies = ["three by number", "two by LID", "one by LID"];
    must_be_one_chat(&messenger, &contact, &id, &bodies, (&cursor, &bodies[2..]))?;
    // The number that the session sends to is the same person.
    let sent = messenger.send("", "", &text(&contact.number, "four"))?.expect(200)?.json();
    ensure!(sent["chatId"] == messenger.all("/chats")?[0]["id"], "{sent}");
    Ok(())
}

/// Row 7: a chat by phone number and a chat by LID exist when WhatsApp tells that they are one
/// person's.
fn two_chats_of_one_person_become_one(deployment: &Deployment) -> Result<()> {
    let messenger = Messenger::start(deployment, "Both")?;
    let contact = deployment.stack.phones.new_phone("Guest")?;
    contact.configure(&hidden())?;
    messenger.write(&contact, "by LID")?;
    messenger.write(&contact, "again by LID")?;
    messenger.until_messages(2, PROMPT)?;
    messenger.phone.send_text(&contact.number, "typed to the number")?;
    let listed = messenger.until_messages(3, PROMPT)?;
    let (by_lid, by_number) = (listed[0]["chatId"].clone(), listed[2]["chatId"].clone());
    ensure!(by_lid != by_number, "nothing is left to merge: {listed:?}");
    let second = messenger.phone.send_text(&contact.number, "typed again")?;
    messenger.until_messages(4, PROMPT)?;
    let (_, other_cursor) = first_page(&messenger, &by_lid)?;
    let (newest, cursor) = first_page(&messenger, &by_number)?;
    ensure!(newest["waMessageId"] == second.as_str(), "{newest}");
    contact.configure(&json!({ "numberHidden": false }))?;
    messenger.write(&contact, "it is me")?;
    messenger.until_messages(5, PROMPT)?;
    let one = wait::until("the chats are one", PATIENCE, || {
        let chats = messenger.all("/chats")?;
        Ok((chats.len() == 1).then(|| chats[0].clone()))
    })?;
    ensure!(one["phone"] == contact.number.as_str(), "{one}");
    let bodies = ["it is me", "typed again", "typed to the number", "again by LID", "by LID"];
    must_be_one_chat(&messenger, &contact, &by_number, &bodies, (&cursor, &bodies[2..]))?;
    must_be_one_chat(&messenger, &contact, &by_lid, &bodies, (&other_cursor, &bodies[4..]))?;
    let listed = messenger.until_messages(5, PROMPT)?;
    ensure!(listed.iter().all(|it| it["chatId"] == one["id"]), "{listed:?}");
    Ok(())
}
