//! Long outages: a frozen node, a frozen router, and WhatsApp away. Messages wait in both directions.

use std::{thread, time::Duration};

use anyhow::{Context as _, Result, anyhow, ensure};
use rustix::process::Signal;
use testbed::{checks::Checks, process};

use super::MessengerWithContacts;
use crate::{Plan, deployment::Deployment};

/// What is away, and for how long.
#[derive(Clone, Copy, Debug)]
enum Away {
    Node,
    Router,
    WhatsApp,
}

const OUTAGES: [(Away, Duration); 3] = [
    (Away::Node, Duration::from_secs(60)),
    (Away::Router, Duration::from_secs(600)),
    (Away::WhatsApp, Duration::from_secs(3_600)),
];
/// Texts of each direction of one outage.
const TEXTS: usize = 30;
/// Upper bound of the time to the last message after an outage. A client of WhatsApp that could not
/// connect for an hour waits before its next attempt.
const PATIENCE: Duration = Duration::from_secs(180);

/// Runs the outages one after the other; returns a part of the closing sentence.
pub(super) fn run(plan: &Plan, deployment: &mut Deployment, checks: &mut Checks) -> String {
    for (away, length) in OUTAGES {
        let name = format!("{}: {away:?} away for {} s", plan.database.name(), length.as_secs());
        checks.check(&name, || {
            outage(deployment, away, length)
                .map_err(|error| anyhow!("{error:#}\n{}", deployment.tail()))
        });
    }
    format!("{} long outages", OUTAGES.len())
}

fn outage(deployment: &mut Deployment, away: Away, length: Duration) -> Result<()> {
    let conversation = MessengerWithContacts::start(deployment, &format!("{away:?}"))?;
    let messenger = &conversation.messenger;
    let contact = &conversation.contacts[0];
    let before = messenger.all("/messages")?.len();
    let words: Vec<_> = (0..TEXTS).map(|number| format!("text {number}")).collect();
    begin(deployment, away)?;
    let mut received = Vec::new();
    if !matches!(away, Away::WhatsApp) {
        received = contact.send_texts(&messenger.phone.number, &words)?;
    }
    let mut sent = Vec::new();
    if !matches!(away, Away::Router) {
        for words in &words {
            sent.push(messenger.queue_text(contact, words)?);
        }
    }
    thread::sleep(length); // the length of the outage
    if !matches!(away, Away::Router) {
        let queued = messenger.all("/messages?status=queued")?;
        ensure!(queued.len() == TEXTS, "{} of {TEXTS} texts wait", queued.len());
    }
    end(deployment, away)?;
    let total = before + received.len() + sent.len();
    messenger.must_list(total, &received, PATIENCE)?;
    messenger.until_sent(PATIENCE)?;
    messenger.until_shown(contact, &sent)?;
    let failed = messenger.all("/messages?status=failed")?;
    ensure!(failed.is_empty(), "{failed:?}");
    Ok(())
}

fn begin(deployment: &mut Deployment, away: Away) -> Result<()> {
    if matches!(away, Away::WhatsApp) {
        return deployment.kill_whatsapp();
    }
    process::signal(program(deployment, away)?, Signal::STOP);
    Ok(())
}

fn end(deployment: &mut Deployment, away: Away) -> Result<()> {
    if matches!(away, Away::WhatsApp) {
        return deployment.restart_whatsapp();
    }
    process::signal(program(deployment, away)?, Signal::CONT);
    Ok(())
}

fn program(deployment: &Deployment, away: Away) -> Result<u32> {
    match away {
        Away::Node => deployment.gateway().first().copied().context("a node runs"),
        Away::Router | Away::WhatsApp => deployment.berth_id().context("a router runs"),
    }
}
