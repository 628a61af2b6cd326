//! Replays of earlier events.

use std::{thread, time::Duration};

use acceptance::{deployment::Deployment, webhook::Webhook};
use anyhow::{Result, ensure};
use serde_json::json;
use testbed::{
    receiver::{Answer, Delivery, Receiver},
    sessions::Owned,
    wait,
};

use super::{PROMPT, QUIET, failing, relabel, sequences};
use crate::{each_database, streams::audit};

each_database!(
    shared: replay_sends_events_from_before_the_webhook,
    replay_is_bounded_by_time_and_position,
    invalid_bounds_are_refused,
    one_replay_runs_at_a_time_beside_new_events,
    all_dead_letters_are_replayed,
);

fn until_replayed(webhook: &Webhook) -> Result<()> {
    webhook.until("the replay ends", |state| state["replay"].is_null()).map(drop)
}

fn replay_sends_events_from_before_the_webhook(deployment: &Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    let session = Owned::create(&api, "replayed")?;
    relabel(&session, 4)?;
    let before = audit(&api)?;
    let receiver = Receiver::start()?;
    let webhook = Webhook::create(&api, &receiver.url(), json!({ "events": ["session.*"] }))?;
    thread::sleep(QUIET);
    ensure!(receiver.count() == 0, "a new webhook gets events from before its creation");
    for round in 1..=2 {
        webhook.replay(&json!({ "since": 0 }))?;
        let seen = receiver.until("the events arrive", PROMPT, |all| all.len() >= round * 5)?;
        until_replayed(&webhook)?;
        let last = &seen[(round - 1) * 5..];
        ensure!(sequences(last, &session) == [1, 2, 3, 4, 5], "{:?}", sequences(last, &session));
        ensure!(last.iter().all(Delivery::is_replay), "no header X-Webhook-Replay");
        ensure!(last.iter().all(|one| before.contains(&one.event())), "another text");
    }
    relabel(&session, 1)?;
    let seen = receiver.until("a new event arrives", PROMPT, |all| all.len() >= 11)?;
    ensure!(!seen[10].is_replay() && seen.len() == 11, "a new event is no replay");
    Ok(())
}

fn replay_is_bounded_by_time_and_position(deployment: &Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    let session = Owned::create(&api, "bounded")?;
    relabel(&session, 2)?;
    thread::sleep(Duration::from_millis(20)); // another millisecond
    relabel(&session, 2)?;
    let events = audit(&api)?;
    let event = |sequence: u64| {
        let found = events.iter().find(|event| event["sequence"] == sequence);
        found.cloned().unwrap_or_default()
    };
    let receiver = Receiver::start()?;
    let webhook = Webhook::create(&api, &receiver.url(), json!({ "events": ["session.*"] }))?;
    let specs = [
        (json!({ "since": event(4)["timestamp"] }), vec![4, 5]),
        (json!({ "since": 0, "until": event(4)["timestamp"] }), vec![1, 2, 3]),
        (json!({ "after": event(3)["id"] }), vec![4, 5]),
        (json!({ "since": 4_000_000_000_000_u64 }), vec![]),
    ];
    for (spec, expected) in specs {
        receiver.clear();
        webhook.replay(&spec)?;
        receiver.until(&format!("{spec}"), PROMPT, |all| all.len() >= expected.len())?;
        until_replayed(&webhook)?;
        let seen = sequences(&receiver.deliveries(), &session);
        ensure!(seen == expected, "{spec} sends {seen:?}");
    }
    Ok(())
}

fn invalid_bounds_are_refused(deployment: &Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    let receiver = Receiver::start()?;
    let webhook = Webhook::create(&api, &receiver.url(), json!({ "events": ["session.*"] }))?;
    let own = audit(&api)?[0]["id"].clone();
    let path = webhook.path(":replay");
    for (spec, pointer) in [
        (json!({}), "/since"),
        (json!({ "since": 1, "after": own }), "/after"),
        (json!({ "after": "cur_1" }), "/after"),
        (json!({ "since": 2, "until": 2 }), "/until"),
        (json!({ "since": "1" }), "/since"),
        (json!({ "since": 1, "more": 1 }), "/more"),
    ] {
        let refused = api.post(&path, &spec)?.expect_error(400, "validation_error")?.json();
        let fields = &refused["error"]["details"]["fields"];
        ensure!(fields[0]["pointer"] == pointer, "{spec}: {fields}");
    }
    let other = deployment.organization()?.api;
    Owned::create(&other, "foreign")?;
    let foreign = audit(&other)?.pop().unwrap_or_default()["id"].clone();
    let ask = |event: &serde_json::Value| {
        let spec = json!({ "after": event }).to_string();
        api.send_raw("POST", &path, &[], Some(spec.as_bytes()))?.expect_error(410, "gone")
    };
    let (foreign, none) = (ask(&foreign)?, ask(&json!("evt_01JGXS1DN0000000000000ZZZZ"))?);
    ensure!(foreign.stable_parts() == none.stable_parts(), "a foreign event differs from none");
    Ok(())
}

fn one_replay_runs_at_a_time_beside_new_events(deployment: &Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    let (replayed, live) = (Owned::create(&api, "replayed")?, Owned::create(&api, "live")?);
    relabel(&replayed, 4)?;
    let receiver = Receiver::start()?;
    receiver.answer(|delivery| {
        let slow = if delivery.is_replay() { Duration::from_millis(500) } else { Duration::ZERO };
        Answer::delayed(204, slow)
    });
    let webhook = Webhook::create(&api, &receiver.url(), json!({ "events": ["session.*"] }))?;
    webhook.replay(&json!({ "since": 0 }))?;
    let spec = json!({ "since": 0 });
    api.post(&webhook.path(":replay"), &spec)?.expect_error(409, "conflict")?;
    ensure!(webhook.state()?["replay"]["since"] == 0, "{}", webhook.state()?);
    relabel(&live, 2)?;
    let seen = receiver.until("the new events arrive", PROMPT, |all| {
        all.iter().filter(|one| !one.is_replay()).count() >= 2
    })?;
    let of_replay = seen.iter().filter(|one| one.is_replay()).count();
    ensure!(of_replay < 6, "the new events waited for the replay");
    until_replayed(&webhook)?;
    let all = receiver.deliveries();
    let (again, new): (Vec<_>, Vec<_>) = all.into_iter().partition(Delivery::is_replay);
    ensure!(sequences(&again, &replayed) == [1, 2, 3, 4, 5], "{:?}", sequences(&again, &replayed));
    ensure!(sequences(&again, &live) == [1], "{:?}", sequences(&again, &live));
    ensure!(sequences(&new, &live) == [2, 3], "{:?}", sequences(&new, &live));
    Ok(())
}

fn all_dead_letters_are_replayed(deployment: &Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    let receiver = Receiver::start()?;
    let fields = json!({ "retryPolicy": { "attempts": 1 }, "events": ["session.*"] });
    let webhook = Webhook::create(&api, &receiver.url(), fields)?;
    let session = Owned::create(&api, "dead letters")?;
    let even =
        |delivery: &Delivery| delivery.event()["sequence"].as_u64().is_some_and(|n| n % 2 == 0);
    receiver.answer(move |delivery| Answer::status(if even(delivery) { 404 } else { 204 }));
    relabel(&session, 6)?;
    webhook.until("three events are dead letters", |state| state["dead"] == 3)?;
    receiver.until("the others arrive", PROMPT, |all| sequences(all, &session).len() >= 7)?;
    receiver.clear();
    // One of them still fails, and remains a dead letter.
    receiver.answer(failing(&session, 4, |_| Answer::status(404)));
    webhook.replay(&json!({ "deadOnly": true }))?;
    receiver.until("the dead letters arrive", PROMPT, |all| all.len() >= 3)?;
    until_replayed(&webhook)?;
    let seen = receiver.deliveries();
    ensure!(sequences(&seen, &session) == [2, 4, 6], "{:?}", sequences(&seen, &session));
    ensure!(seen.iter().all(Delivery::is_replay), "no header X-Webhook-Replay");
    let failed = seen[1].id();
    wait::until_true("the replays are recorded", PROMPT, || {
        let letters = webhook.all("/dead-letters")?;
        let replayed = letters.iter().filter(|letter| letter["replayedAt"].is_u64());
        let left = letters.iter().find(|letter| letter["replayedAt"].is_null());
        Ok(replayed.count() == 2 && left.is_some_and(|letter| letter["event"] == failed))
    })
}
