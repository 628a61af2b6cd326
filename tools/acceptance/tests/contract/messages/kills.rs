//! Messages while router and node are killed: each once, in the order of its chat.

use acceptance::{
    deployment::Deployment,
    messenger::{Messenger, each_once, texts},
};
use anyhow::{Result, ensure};
use testbed::{event_stream::EventStream, sessions::PATIENCE, stack::Victim};

use crate::each_database;

each_database!(
    exclusive: texts_of_an_outage_arrive_once_and_in_order,
    texts_survive_kills_between_any_two_steps,
);

/// Row 1: what waited at WhatsApp while router and node were away is stored and told.
fn texts_of_an_outage_arrive_once_and_in_order(deployment: &mut Deployment) -> Result<()> {
    let messenger = Messenger::start(deployment, "Outage")?;
    let contact = Messenger::contact(deployment, "Writer")?;
    let mut stream = EventStream::after(&messenger.session.api, "event=message", "")?;
    stream.block()?;
    let start = stream.last.clone();
    deployment.stack.kill(Victim::Both)?;
    let bodies: Vec<_> = (0..300).map(|n| format!("text {n}")).collect();
    let ids = messenger.write_all(&contact, &bodies)?;
    deployment.stack.recover()?;
    let listed = messenger.until_messages(300, PATIENCE)?;
    ensure!(texts(&listed, "waMessageId")? == ids, "another order");
    let mut stream = EventStream::after(&messenger.session.api, "event=message", &start)?;
    let mut told = Vec::new();
    while told.len() < 300 {
        told.extend(stream.event()?.map(|event| event["payload"].clone()));
    }
    ensure!(texts(&told, "waMessageId")? == ids, "events in another order");
    Ok(())
}

/// Row 3: inbound messages survive `kill -9` of node, router or both at any moment.
fn texts_survive_kills_between_any_two_steps(deployment: &mut Deployment) -> Result<()> {
    let messenger = Messenger::start(deployment, "Killed")?;
    let contact = Messenger::contact(deployment, "Writer")?;
    let mut ids = Vec::new();
    for (round, victim) in [Victim::Gateway, Victim::Berth, Victim::Both].into_iter().enumerate() {
        for part in 0..4 {
            let bodies: Vec<_> = (0..50).map(|n| format!("{round} {part} {n}")).collect();
            ids.extend(messenger.write_all(&contact, &bodies)?);
            if part == 1 {
                deployment.stack.kill(victim)?;
            }
        }
        deployment.stack.recover()?;
        let listed = texts(&messenger.until_messages(ids.len(), PATIENCE)?, "waMessageId")?;
        each_once(&listed, &ids)?;
        ensure!(listed == ids, "another order after {victim:?} was killed");
    }
    Ok(())
}
