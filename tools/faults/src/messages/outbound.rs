//! Row 5 of the acceptance tests of messages: kills while a session sends.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use testbed::{
    checks::Checks,
    messenger::{Messenger, id_of, text},
    phones::Phone,
    random::Random,
};

use super::{CONTACTS, MessengerWithContacts, kill};
use crate::{Plan, deployment::Deployment};

/// Maximum time between the first text of a round and the kill, in milliseconds.
const MOMENT: u64 = 150;
/// Kills after which all texts have to leave before the next kill. A node waits 15 s for evidence of
/// an earlier attempt, and each kill begins this time anew.
const SETTLED: usize = 5;
/// Upper bound of the time in which all texts leave: less than the time after which a text without an
/// acknowledgement is given up.
const PATIENCE: Duration = Duration::from_secs(240);
/// Pause before a request is repeated that got no answer.
const AGAIN: Duration = Duration::from_millis(50);

/// Runs the rounds; returns a part of the closing sentence.
pub(super) fn run(plan: &Plan, deployment: &mut Deployment, checks: &mut Checks) -> Result<String> {
    let rounds = plan.trials.unwrap_or(plan.extent.choose(3, 50));
    let count = plan.extent.choose(40, 500);
    let conversation = MessengerWithContacts::start(deployment, "Outbound")?;
    let messenger = &conversation.messenger;
    let device = messenger.device()?;
    let mut random = Random::seeded(plan.seed, 2);
    let mut accepted: Vec<Vec<String>> = vec![Vec::new(); CONTACTS];
    let mut from = 0;
    for round in 0..rounds {
        let to = count * (round + 1) / rounds;
        let moment = Duration::from_millis(random.below(MOMENT));
        let ids = thread::scope(|scope| {
            let conversation = &conversation;
            let sending = scope.spawn(move || send(conversation, from..to));
            thread::sleep(moment); // the kill may hit any instant
            kill(plan, deployment, &mut random, ("outbound", round), checks);
            sending.join().map_err(|_| anyhow!("the sender panicked"))?
        })?;
        for (all, of_round) in accepted.iter_mut().zip(ids) {
            all.extend(of_round);
        }
        from = to;
        if (round + 1) % SETTLED == 0 {
            messenger.until_sent(PATIENCE)?;
        }
    }
    messenger.until_sent(PATIENCE)?;
    for (contact, ids) in conversation.contacts.iter().zip(&accepted) {
        let name = format!("{}: outbound: {} texts, each once", plan.database.name(), ids.len());
        checks.check(&name, || must_be_sent_once(messenger, contact, ids));
    }
    let stanzas = deployment.phones.stanzas(&messenger.phone.number, device)?;
    let written: usize = accepted.concat().iter().map(|id| stanzas.times_sent(id)).sum();
    let repeated = written.saturating_sub(count);
    Ok(format!("{rounds} kills during {count} outbound texts, {repeated} written again"))
}

/// Sends the texts with these numbers to the contacts in turn; returns the ids of each contact.
fn send(
    conversation: &MessengerWithContacts,
    numbers: std::ops::Range<usize>,
) -> Result<Vec<Vec<String>>> {
    let mut ids = vec![Vec::new(); CONTACTS];
    for number in numbers {
        let contact = number % CONTACTS;
        let id = send_one(&conversation.messenger, &conversation.contacts[contact], number)?;
        ids[contact].push(id);
    }
    Ok(ids)
}

/// Sends one text, and repeats the request with its key until the text is accepted.
fn send_one(messenger: &Messenger, contact: &Phone, number: usize) -> Result<String> {
    let (key, body) = (format!("text-{number}"), text(&contact.number, &format!("text {number}")));
    let end = Instant::now() + testbed::sessions::PATIENCE;
    while Instant::now() < end {
        match messenger.send("?async", &key, &body) {
            // A repetition is answered with the present state: 200 if the text is sent.
            Ok(reply) if matches!(reply.status, 200 | 202) => return id_of(&reply.json()),
            Ok(reply) if reply.status < 500 => {
                bail!("text {number} is refused with {}: {}", reply.status, reply.json())
            }
            Ok(_) | Err(_) => thread::sleep(AGAIN),
        }
    }
    bail!("text {number} is not accepted")
}

/// Checks that the phone shows each text once and in order, and that each is sent for the caller.
fn must_be_sent_once(messenger: &Messenger, contact: &Phone, ids: &[String]) -> Result<()> {
    messenger.until_shown(contact, ids)?;
    let listed = messenger.all(&format!("/chats/{}/messages?direction=out", contact.number))?;
    for id in ids {
        let message = listed.iter().find(|it| it["waMessageId"] == id.as_str());
        let message = message.with_context(|| format!("{id} is not listed"))?;
        ensure!(message["ackLevel"].as_i64() >= Some(1), "not sent: {message}");
    }
    // Beside these, the chat has its first text alone: no request was accepted twice.
    ensure!(listed.len() == ids.len() + 1, "{} texts instead of {}", listed.len(), ids.len() + 1);
    Ok(())
}
