//! Row 3 of the acceptance tests of messages: kills while phones write to a session.

use std::{thread, time::Duration};

use anyhow::{Result, anyhow, ensure};
use testbed::{
    checks::Checks,
    messenger::{each_once, texts},
    phones::Phone,
    random::Random,
    sessions::PATIENCE,
};

use super::{CONTACTS, MessengerWithContacts, kill};
use crate::{Plan, deployment::Deployment};

/// Maximum time between the first text of a round and the kill, in milliseconds.
const MOMENT: u64 = 250;
/// Maximum number of texts that a phone writes at once.
const BURST: u64 = 8;

/// Runs the rounds; returns a part of the closing sentence.
pub(super) fn run(plan: &Plan, deployment: &mut Deployment, checks: &mut Checks) -> Result<String> {
    let rounds = plan.trials.unwrap_or(plan.extent.choose(3, 50));
    let count = plan.extent.choose(150, 2_000);
    let conversation = MessengerWithContacts::start(deployment, "Inbound")?;
    let messenger = &conversation.messenger;
    let before = messenger.all("/messages")?.len();
    let mut random = Random::seeded(plan.seed, 1);
    let mut written: Vec<Vec<String>> = vec![Vec::new(); CONTACTS];
    for round in 0..rounds {
        let share = count * (round + 1) / rounds - count * round / rounds;
        let moment = Duration::from_millis(random.below(MOMENT));
        let bursts = bursts(share, &mut random);
        let ids = thread::scope(|scope| {
            let number = &messenger.phone.number;
            let contacts = &conversation.contacts;
            let writing = scope.spawn(move || write(contacts, number, round, &bursts));
            thread::sleep(moment); // the kill may hit any instant
            kill(plan, deployment, &mut random, ("inbound", round), checks);
            writing.join().map_err(|_| anyhow!("the writer panicked"))?
        })?;
        for (all, of_round) in written.iter_mut().zip(ids) {
            all.extend(of_round);
        }
        let total = before + written.iter().map(Vec::len).sum::<usize>();
        let name = format!("{}: inbound, round {}: each once", plan.database.name(), round + 1);
        checks.check(&name, || messenger.until_messages(total, PATIENCE).map(drop));
    }
    let name = format!("{}: inbound: each once and in the order of its chat", plan.database.name());
    checks.check(&name, || {
        let told = messenger.payloads("message")?;
        let ids = written.concat();
        // The organization has one session so far, and only received messages have this event.
        each_once(&texts(&told, "waMessageId")?, &ids)?;
        for (contact, ids) in conversation.contacts.iter().zip(&written) {
            let mut listed =
                messenger.all(&format!("/chats/{}/messages?direction=in", contact.number))?;
            listed.reverse();
            ensure!(texts(&listed, "waMessageId")? == *ids, "the chat has another order");
            let of_chat = |id: &&String| ids.contains(id);
            // A message that a kill made unreadable comes later, when its sender has encrypted it again.
            let in_time = told.iter().filter(|message| message["recovered"] == false).cloned();
            let told = texts(&in_time.collect::<Vec<_>>(), "waMessageId")?;
            let ids: Vec<_> = ids.iter().filter(|id| told.contains(id)).collect();
            let told: Vec<_> = told.iter().filter(of_chat).collect();
            ensure!(told == ids, "events have another order");
        }
        Ok(())
    });
    Ok(format!("{rounds} kills during {count} inbound texts"))
}

/// A number of texts of one contact.
type Burst = (usize, usize);

/// Divides the texts of a round among the contacts.
fn bursts(mut count: usize, random: &mut Random) -> Vec<Burst> {
    let mut bursts = Vec::new();
    while count > 0 {
        let size = usize::try_from(random.below(BURST) + 1).unwrap_or(1).min(count);
        let contact = usize::try_from(random.below(CONTACTS as u64)).unwrap_or_default();
        bursts.push((contact, size));
        count -= size;
    }
    bursts
}

/// Writes the texts of a round; returns the ids of each contact.
fn write(contacts: &[Phone], to: &str, round: usize, bursts: &[Burst]) -> Result<Vec<Vec<String>>> {
    let mut ids = vec![Vec::new(); contacts.len()];
    for (number, (contact, size)) in bursts.iter().enumerate() {
        let words: Vec<_> = (0..*size).map(|text| format!("{round} {number} {text}")).collect();
        ids[*contact].extend(contacts[*contact].send_texts(to, &words)?);
    }
    Ok(ids)
}
