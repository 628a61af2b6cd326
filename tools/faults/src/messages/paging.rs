//! Row 25 of the acceptance tests of messages at full size: a long chat and many chats are read page by
//! page while messages arrive.

use anyhow::{Context as _, Result, ensure};
use testbed::{
    checks::Checks,
    messenger::{Messenger, each_once, texts},
    phones::Phone,
    sessions::PATIENCE,
};

use crate::{Plan, deployment::Deployment};

/// Texts of a request to a simulated phone.
const BULK: usize = 500;
/// Number of texts that arrive while the pages of a list are read.
const MEANWHILE: usize = 10;

/// Runs the checks; returns a part of the closing sentence.
pub(super) fn run(plan: &Plan, deployment: &Deployment, checks: &mut Checks) -> Result<String> {
    let (long, chats) = (plan.extent.choose(1_000, 10_000), plan.extent.choose(40, 200));
    let messenger = Messenger::start(deployment, "Pages")?;
    let guest = |number| deployment.phones.new_phone(&format!("Guest {number}"));
    let guests: Vec<_> = (0..chats).map(guest).collect::<Result<_>>()?;
    let talkative = guests.first().context("a guest")?;
    let words: Vec<_> = (0..long).map(|number| format!("text {number}")).collect();
    for part in words.chunks(BULK) {
        talkative.send_texts(&messenger.phone.number, part)?;
    }
    for guest in &guests[1..] {
        messenger.write(guest, "hello")?;
    }
    let patience = plan.extent.choose(PATIENCE, 5 * PATIENCE);
    messenger.until_messages(long + chats - 1, patience)?;
    let database = plan.database.name();
    checks.check(&format!("{database}: pages of a chat of {long} texts"), || {
        must_page_chat(&messenger, talkative, &words, chats - 1)
    });
    checks.check(&format!("{database}: pages of {chats} chats"), || {
        messenger.must_page_chats(&guests)
    });
    Ok(format!("a chat of {long} texts and {chats} chats read page by page"))
}

/// Reads the chat in small and in large pages, each time while further texts arrive. `others` is the number
/// of messages in other chats.
fn must_page_chat(
    messenger: &Messenger,
    contact: &Phone,
    words: &[String],
    others: usize,
) -> Result<()> {
    let mut written = 0;
    for limit in [50, 200] {
        let (before, end) = (words.len() + written, written + MEANWHILE);
        let read = messenger.pages(
            &format!("/chats/{}/messages?limit={limit}", contact.number),
            || {
                if written < end {
                    messenger.write(contact, "meanwhile")?;
                    written += 1;
                }
                Ok(())
            },
        )?;
        ensure!(read.len() == before, "{} texts instead of {before}", read.len());
        messenger.until_messages(words.len() + written + others, PATIENCE)?;
        let ids = texts(&read, "waMessageId")?;
        each_once(&ids, &ids)?;
        let mut bodies = texts(&read, "body")?;
        bodies.reverse();
        ensure!(bodies.starts_with(words), "the pages have another order");
    }
    Ok(())
}
