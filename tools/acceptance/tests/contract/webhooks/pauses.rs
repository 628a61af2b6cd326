//! Webhooks that wait, start anew or end: `:pause`, `active`, `DELETE`.

use std::{thread, time::Duration};

use acceptance::{deployment::Deployment, webhook::Webhook};
use anyhow::{Result, ensure};
use serde_json::json;
use testbed::{
    receiver::{Answer, Receiver},
    sessions::Owned,
};

use super::{PROMPT, QUIET, relabel, sequences};
use crate::{each_database, streams::audit};

each_database!(
    shared: paused_webhook_keeps_its_events,
    inactive_webhook_skips_its_events,
    deleted_webhook_gets_nothing,
);

/// Upper bound of the time until routers know a change of a webhook.
const KNOWN: Duration = Duration::from_secs(1);

fn paused_webhook_keeps_its_events(deployment: &Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    let receiver = Receiver::start()?;
    let webhook = Webhook::create(&api, &receiver.url(), json!({ "events": ["session.*"] }))?;
    let session = Owned::create(&api, "paused")?;
    receiver.until("the first event arrives", PROMPT, |all| !all.is_empty())?;
    ensure!(webhook.act(":pause")?["paused"] == true, "it is not paused");
    let version = webhook.view()?["version"].clone();
    ensure!(webhook.act(":pause")?["version"] == version, "a second pause changes something");
    thread::sleep(KNOWN);
    relabel(&session, 3)?;
    thread::sleep(QUIET);
    ensure!(receiver.count() == 1, "a paused webhook gets events");
    let state = webhook.until("the events wait", |state| state["lag"] == 3)?;
    ensure!(state["state"] == "paused" && state["oldestUndelivered"].is_u64(), "{state}");
    ensure!(webhook.act(":resume")?["paused"] == false, "it is still paused");
    let seen = receiver.until("all events arrive", PROMPT, |all| all.len() >= 4)?;
    ensure!(sequences(&seen, &session) == [1, 2, 3, 4], "{:?}", sequences(&seen, &session));
    Ok(())
}

fn inactive_webhook_skips_its_events(deployment: &Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    let receiver = Receiver::start()?;
    let webhook = Webhook::create(&api, &receiver.url(), json!({ "events": ["session.*"] }))?;
    let session = Owned::create(&api, "inactive")?;
    receiver.until("the first event arrives", PROMPT, |all| !all.is_empty())?;
    webhook.patch(&json!({ "active": false }))?.expect(200)?;
    webhook.until("it is inactive", |state| state["state"] == "inactive")?;
    thread::sleep(KNOWN);
    relabel(&session, 2)?;
    webhook.patch(&json!({ "active": true }))?.expect(200)?;
    relabel(&session, 2)?;
    let seen = receiver.until("the later events arrive", PROMPT, |all| {
        sequences(all, &session).last() == Some(&5)
    })?;
    ensure!(sequences(&seen, &session) == [1, 4, 5], "{:?}", sequences(&seen, &session));
    Ok(())
}

/// Also while a request hangs and while events wait for a retry.
fn deleted_webhook_gets_nothing(deployment: &Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    let receivers = [Receiver::start()?, Receiver::start()?, Receiver::start()?];
    receivers[1].answer(|_| Answer::Hang);
    receivers[2].answer(|_| Answer::status(500));
    let policy = json!({ "policy": "constant", "delaySeconds": 1 });
    let mut webhooks = Vec::new();
    for receiver in &receivers {
        let fields = json!({ "events": ["session.*"], "retryPolicy": policy });
        webhooks.push(Webhook::create(&api, &receiver.url(), fields)?);
    }
    let session = Owned::create(&api, "deleted")?;
    for receiver in &receivers {
        receiver.until("the first event arrives", PROMPT, |all| !all.is_empty())?;
    }
    for webhook in &webhooks {
        api.delete(&webhook.path(""))?.expect(204)?;
        for what in ["", "/state", "/attempts", "/dead-letters"] {
            api.get(&webhook.path(what))?.expect_error(404, "not_found")?;
        }
    }
    thread::sleep(KNOWN);
    let settled = receivers.each_ref().map(Receiver::count);
    for receiver in &receivers {
        receiver.answer(|_| Answer::status(204));
    }
    relabel(&session, 3)?;
    thread::sleep(2 * QUIET);
    let later = receivers.each_ref().map(Receiver::count);
    ensure!(settled == later, "{settled:?} requests before, {later:?} afterwards");
    let deleted = audit(&api)?.iter().filter(|event| event["event"] == "webhook.deleted").count();
    ensure!(deleted == 3, "{deleted} events of three deletions");
    Ok(())
}
