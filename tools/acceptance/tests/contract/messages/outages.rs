//! Messages while the router, the node or WhatsApp is away: none lost, none twice, and a true status
//! meanwhile.

use std::time::Duration;

use acceptance::{
    deployment::{Deployment, fresh_with_stored_whatsapp},
    messenger::{Messenger, each_once, texts},
};
use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use serde_json::json;
use testbed::{options::DatabaseKind, process, sessions::PATIENCE, stack::Victim};

use crate::each_database;

each_database!(
    exclusive: texts_of_an_outage_arrive_once_and_in_order,
    texts_typed_on_the_own_phone_during_an_outage_are_messages,
    frozen_router_costs_no_message,
    frozen_node_costs_no_message,
);

mod outage_of_whatsapp_costs_no_message {
    use super::{DatabaseKind, fresh_with_stored_whatsapp, outage_of_whatsapp};

    #[test]
    fn sqlite() -> anyhow::Result<()> {
        fresh_with_stored_whatsapp(DatabaseKind::Sqlite, "contract-whatsapp", outage_of_whatsapp)
    }

    #[test]
    fn postgres() -> anyhow::Result<()> {
        fresh_with_stored_whatsapp(DatabaseKind::Postgres, "contract-whatsapp", outage_of_whatsapp)
    }
}

/// The time for which a program is frozen. A soak of minutes is `cargo xtask soak messages`.
const FROZEN: Duration = Duration::from_secs(6);

fn bodies(name: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{name} {number}")).collect()
}

/// Row 1: what waited at WhatsApp while router and node were away is stored and told.
fn texts_of_an_outage_arrive_once_and_in_order(deployment: &mut Deployment) -> Result<()> {
    let messenger = Messenger::start(deployment, "Outage")?;
    let contact = deployment.stack.phones.new_phone("Writer")?;
    deployment.stack.kill(Victim::Both)?;
    let ids = contact.send_texts(&messenger.phone.number, &bodies("text", 300))?;
    deployment.stack.recover()?;
    let listed = messenger.until_messages(300, PATIENCE)?;
    ensure!(texts(&listed, "waMessageId")? == ids, "another order");
    let told = messenger.payloads("message")?;
    ensure!(texts(&told, "waMessageId")? == ids, "events in another order");
    Ok(())
}

/// Row 2: what the owner writes to a third person while the node is down is a message, also told.
fn texts_typed_on_the_own_phone_during_an_outage_are_messages(
    deployment: &mut Deployment,
) -> Result<()> {
    let messenger = Messenger::start(deployment, "Owner")?;
    let third = deployment.stack.phones.new_phone("Third")?;
    for victim in [Victim::Gateway, Victim::Both] {
        deployment.stack.kill(victim)?;
        messenger.phone.send_texts(&third.number, &bodies("typed during the outage", 3))?;
        deployment.stack.recover()?;
    }
    let typed = messenger.phone.messages_in(&third.number)?;
    let ids: Vec<_> = typed.iter().map(|it| it.id.clone()).collect();
    let listed = messenger.until_messages(6, PATIENCE)?;
    ensure!(texts(&listed, "waMessageId")? == ids, "another order: {listed:?}");
    for (message, typed) in listed.iter().zip(&typed) {
        for (name, value) in [
            ("source", json!("phone")),
            ("direction", json!("out")),
            ("fromMe", json!(true)),
            ("chatPhone", json!(third.number)),
            ("body", json!(typed.text)),
        ] {
            ensure!(message[name] == value, "{name}: {message}");
        }
    }
    let told = messenger.payloads("message")?;
    each_once(&texts(&told, "waMessageId")?, &ids)
}

/// A router that does not run for a while: the node receives for it, and nothing is lost.
fn frozen_router_costs_no_message(deployment: &mut Deployment) -> Result<()> {
    let messenger = Messenger::start(deployment, "Away")?;
    let contact = deployment.stack.phones.new_phone("Writer")?;
    messenger.send_text(&contact, "first contact")?;
    let router = deployment.stack.berth_id().context("a router")?;
    process::signal(router, Signal::STOP);
    let written = contact.send_texts(&messenger.phone.number, &bodies("text", 40));
    std::thread::sleep(FROZEN); // the length of the outage
    process::signal(router, Signal::CONT);
    let ids = written?;
    let listed = texts(&messenger.until_messages(41, PATIENCE)?, "waMessageId")?;
    ensure!(listed[1..] == ids, "another order: {listed:?}");
    ensure!(messenger.events("message")?.len() == 40, "each text is told once");
    messenger.session.until_status("working")?;
    messenger.send_text(&contact, "afterwards").map(drop)
}

/// A node that does not run for a while: messages wait in both directions, and are shown as waiting.
fn frozen_node_costs_no_message(deployment: &mut Deployment) -> Result<()> {
    let messenger = Messenger::start(deployment, "Frozen")?;
    let contact = deployment.stack.phones.new_phone("Writer")?;
    messenger.send_without_limits()?;
    messenger.send_text(&contact, "first contact")?;
    let node = *deployment.stack.gateway().first().context("a node")?;
    process::signal(node, Signal::STOP);
    let exchanged = exchange_with_frozen_node(&messenger, &contact);
    process::signal(node, Signal::CONT);
    let (received, sent) = exchanged?;
    messenger.until_sent(PATIENCE)?;
    messenger.until_shown(&contact, &sent)?;
    messenger.must_list(31, &received, PATIENCE)?;
    for id in &sent {
        messenger.until_status(id, &["sent", "delivered"])?;
    }
    Ok(())
}

fn exchange_with_frozen_node(
    messenger: &Messenger,
    contact: &testbed::phones::Phone,
) -> Result<(Vec<String>, Vec<String>)> {
    let received = contact.send_texts(&messenger.phone.number, &bodies("in", 20))?;
    let sent: Vec<_> = bodies("out", 10)
        .iter()
        .map(|words| messenger.queue_text(contact, words))
        .collect::<Result<_>>()?;
    std::thread::sleep(FROZEN); // the length of the outage
    for id in &sent {
        let message = messenger.get(&format!("/messages/{id}"))?;
        ensure!(message["status"] == "queued" && message["ackLevel"] == 0, "{message}");
    }
    ensure!(messenger.all("/messages")?.len() == 11, "nothing can have arrived");
    Ok((received, sent))
}

/// Row 27: WhatsApp dies while messages wait in both directions and one is on its way.
fn outage_of_whatsapp(deployment: &mut Deployment) -> Result<()> {
    let messenger = Messenger::start(deployment, "Offline")?;
    let contact = deployment.stack.phones.new_phone("Writer")?;
    messenger.send_without_limits()?;
    messenger.send_text(&contact, "first contact")?;
    // Inbound texts wait at WhatsApp for a session that is stopped.
    messenger.session.api.post(&messenger.path(":stop"), &json!({}))?.expect(200)?;
    messenger.session.until_status("stopped")?;
    let received = contact.send_texts(&messenger.phone.number, &bodies("in", 20))?;
    deployment.stack.kill_whatsapp()?;
    messenger.session.api.post(&messenger.path(":start"), &json!({}))?.expect(200)?;
    let mut sent = Vec::new();
    for words in bodies("during the outage", 5) {
        sent.push(messenger.queue_text(&contact, &words)?);
    }
    for id in &sent {
        let message = messenger.get(&format!("/messages/{id}"))?;
        ensure!(message["status"] == "queued" && message["error"].is_null(), "{message}");
    }
    deployment.stack.restart_whatsapp()?;
    messenger.session.until_status("working")?;
    messenger.until_messages(26, PATIENCE)?;
    // The next outage begins while texts leave.
    for words in bodies("before the outage", 5) {
        sent.push(messenger.queue_text(&contact, &words)?);
    }
    deployment.stack.kill_whatsapp()?;
    let failed = messenger.all("/messages?status=failed")?;
    ensure!(failed.is_empty(), "an outage is no failure: {failed:?}");
    deployment.stack.restart_whatsapp()?;
    messenger.until_sent(PATIENCE)?;
    messenger.until_shown(&contact, &sent)?;
    messenger.must_list(31, &received, PATIENCE)?;
    let failed = messenger.all("/messages?status=failed")?;
    ensure!(failed.is_empty(), "{failed:?}");
    Ok(())
}
