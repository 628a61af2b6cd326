//! The order of lists: by WhatsApp's time, then by arrival, with cursors that stay valid.

use std::{collections::BTreeSet, time::UNIX_EPOCH};

use acceptance::{
    deployment::Deployment,
    messenger::{Messenger, PROMPT, each_once, texts},
};
use anyhow::{Result, ensure};
use serde_json::json;
use testbed::{parallel::run_on_threads, sessions::PATIENCE};

use crate::each_database;

each_database!(
    shared: messages_of_one_second_have_one_order,
    pages_of_many_chats_have_no_gap,
);

/// Texts of each of the two lanes.
const LANE: usize = 25;
/// Chats of the list; a deployment with 200 is tested by its store.
const CHATS: usize = 40;

/// Row 25: 50 messages of one second, from a contact and from the own phone at the same time. The
/// order is WhatsApp's time, then the arrival, and pages that are read meanwhile have no gap.
fn messages_of_one_second_have_one_order(deployment: &Deployment) -> Result<()> {
    let messenger = Messenger::start(deployment, "Lanes")?;
    let contact = deployment.stack.phones.new_phone("Contact")?;
    let second = UNIX_EPOCH.elapsed()?.as_secs();
    let (own, partner) = (messenger.phone.number.clone(), contact.number.clone());
    let mut earlier = Vec::new();
    for number in 0..10 {
        let body =
            json!({ "to": own, "text": format!("earlier {number}"), "timestamp": second - 60 });
        earlier.push(contact.send(&body)?.id);
    }
    messenger.until_messages(10, PROMPT)?;
    // The two lanes, and a reader of pages.
    let read = run_on_threads(3, |which| {
        if which == 2 {
            return (0..6).map(|_| pages(&messenger, &partner)).collect();
        }
        let (writer, to) = if which == 0 { (&contact, &own) } else { (&messenger.phone, &partner) };
        let mut ids = Vec::new();
        for number in 0..LANE {
            let words = format!("lane {which} {number}");
            ids.push(writer.send(&json!({ "to": to, "text": words, "timestamp": second }))?.id);
        }
        Ok(vec![ids])
    })?;
    let [lane, other, pages_read @ ..] = &read[..] else { unreachable!() };
    let mut listed = messenger.until_messages(10 + 2 * LANE, PATIENCE)?;
    let mut all = earlier.clone();
    all.extend(lane.iter().chain(other).cloned());
    let ids = texts(&listed, "waMessageId")?;
    each_once(&ids, &all)?;
    ensure!(ids[..10] == earlier, "earlier messages come first: {ids:?}");
    for lane in [lane, other] {
        let of_lane: Vec<_> = ids.iter().filter(|id| lane.contains(id)).collect();
        ensure!(of_lane == lane.iter().collect::<Vec<_>>(), "a lane has another order");
    }
    let keys: Vec<_> =
        listed.iter().map(|it| (it["timestamp"].as_u64(), it["id"].as_u64())).collect();
    ensure!(keys.is_sorted() && keys[10].0 == Some(second * 1_000), "{keys:?}");
    // A message that arrives last and is older is placed by its time.
    let back = json!({ "to": own, "text": "late", "timestamp": second - 30 });
    let back_dated = contact.send(&back)?.id;
    let with_late = texts(&messenger.until_messages(11 + 2 * LANE, PROMPT)?, "waMessageId")?;
    ensure!(with_late[10] == back_dated, "{with_late:?}");
    listed.reverse();
    let newest_first = texts(&listed, "waMessageId")?;
    for read in pages_read {
        // What a reader got is a part of the whole in the order of the whole.
        let part: BTreeSet<_> = read.iter().collect();
        ensure!(part.len() == read.len(), "a page repeats a message: {read:?}");
        let whole: Vec<_> = newest_first.iter().filter(|id| part.contains(id)).collect();
        ensure!(whole == read.iter().collect::<Vec<_>>(), "pages have another order");
        ensure!(read.ends_with(&newest_first[2 * LANE..]), "the earlier messages are missing");
    }
    Ok(())
}

/// Reads a chat in pages of seven; returns the ids, newest first.
fn pages(messenger: &Messenger, chat: &str) -> Result<Vec<String>> {
    let read = messenger.pages(&format!("/chats/{chat}/messages?limit=7"), || Ok(()))?;
    texts(&read, "waMessageId")
}

/// Row 25: a list of many chats is read page by page while messages arrive in one of them.
fn pages_of_many_chats_have_no_gap(deployment: &Deployment) -> Result<()> {
    let messenger = Messenger::start(deployment, "Popular")?;
    let phones = &deployment.stack.phones;
    let contacts: Vec<_> =
        (0..CHATS).map(|n| phones.new_phone(&format!("Guest {n}"))).collect::<Result<_>>()?;
    for contact in &contacts {
        messenger.write(contact, "hello")?;
    }
    messenger.until_messages(CHATS, PATIENCE)?;
    messenger.must_page_chats(&contacts)
}
