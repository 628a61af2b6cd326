//! Receivers that reject events, are gone or do not work: retries, order, dead letters, the breaker.

use std::time::{Duration, Instant};

use acceptance::{deployment::Deployment, webhook::Webhook};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testbed::{
    receiver::{Answer, Delivery, Receiver},
    sessions::Owned,
    wait,
};

use super::{PROMPT, QUIET, failing, of_session, relabel, sequences};
use crate::{each_database, streams::audit};

each_database!(
    shared: rejected_event_is_retried_in_order_and_blocks_its_session_alone,
    unordered_webhook_passes_a_failing_event,
    receiver_that_is_gone_is_disabled_until_it_is_resumed,
    event_without_further_attempts_is_a_dead_letter,
    failing_event_is_skipped_on_request,
    outage_is_tested_by_single_requests,
    retry_after_is_obeyed,
);

fn rejected_event_is_retried_in_order_and_blocks_its_session_alone(
    deployment: &Deployment,
) -> Result<()> {
    let api = deployment.organization()?.api;
    let receiver = Receiver::start()?;
    let policy = json!({ "policy": "exponential", "delaySeconds": 1, "attempts": 15 });
    let fields = json!({ "retryPolicy": policy, "events": ["session.*"] });
    let webhook = Webhook::create(&api, &receiver.url(), fields)?;
    let (failing_session, other) = (Owned::create(&api, "fails")?, Owned::create(&api, "other")?);
    receiver.answer(failing(&failing_session, 2, |delivery| {
        let attempt = delivery.header("x-webhook-attempt").unwrap_or_default();
        Answer::status(if ["1", "2", "3"].contains(&attempt) { 500 } else { 204 })
    }));
    relabel(&failing_session, 4)?;
    let began = Instant::now();
    relabel(&other, 4)?;
    let seen = receiver.until("the other session's events arrive", PROMPT, |all| {
        sequences(all, &other).len() >= 5
    })?;
    ensure!(began.elapsed() < Duration::from_secs(3), "the other session waited");
    ensure!(sequences(&seen, &other) == [1, 2, 3, 4, 5], "{:?}", sequences(&seen, &other));
    let state = webhook.until("one session waits", |state| state["blockedSessions"] == 1)?;
    ensure!(state["state"] == "retrying" && state["dead"] == 0, "{state}");
    ensure!(state["nextAttemptAt"].is_u64() && state["oldestUndelivered"].is_u64(), "{state}");
    let seen = receiver.until("the failing session's events arrive", 2 * PROMPT, |all| {
        sequences(all, &failing_session).last() == Some(&5)
    })?;
    let order = sequences(&seen, &failing_session);
    ensure!(order == [1, 2, 2, 2, 2, 3, 4, 5], "{order:?}");
    check_growing_delays(&of_session(&seen, &failing_session)[1..5])?;
    webhook.until("nothing waits", |state| state["blockedSessions"] == 0 && state["lag"] == 0)?;
    check_attempts(&webhook, of_session(&seen, &failing_session)[1].id())
}

/// The delays are 1 s, 2 s and 4 s, a tenth more or less; a busy machine may add to them.
fn check_growing_delays(attempts: &[&Delivery]) -> Result<()> {
    for (n, expected) in [1_000, 2_000, 4_000].into_iter().enumerate() {
        let delay = attempts[n + 1].at.duration_since(attempts[n].at).as_millis();
        let (least, most) = (expected * 9 / 10 - 20, expected * 11 / 10 + 900);
        ensure!((least..most).contains(&delay), "delay {n} is {delay} ms instead of {expected} ms");
    }
    let numbers: Vec<_> =
        attempts.iter().filter_map(|one| one.header("x-webhook-attempt")).collect();
    ensure!(numbers == ["1", "2", "3", "4"], "{numbers:?}");
    Ok(())
}

/// The attempts of an event are listed, newest first.
fn check_attempts(webhook: &Webhook, event: &str) -> Result<()> {
    let attempts = wait::until("the attempts are listed", PROMPT, || {
        let attempts = webhook.all("/attempts")?;
        let of_event = attempts.into_iter().filter(|one| one["event"] == event);
        let of_event: Vec<_> = of_event.collect();
        Ok((of_event.len() >= 4).then_some(of_event))
    })?;
    let of = |field: &str| attempts.iter().map(|one| one[field].clone()).collect::<Vec<_>>();
    ensure!(of("attempt") == [4, 3, 2, 1].map(Value::from), "{attempts:?}");
    ensure!(of("outcome") == ["2xx", "5xx", "5xx", "5xx"].map(Value::from), "{attempts:?}");
    ensure!(of("status") == [204, 500, 500, 500].map(Value::from), "{attempts:?}");
    ensure!(of("replay") == [false; 4].map(Value::from), "{attempts:?}");
    // An answer from a private address is not kept.
    ensure!(of("response").iter().all(Value::is_null), "{attempts:?}");
    let times: Vec<_> = of("timestamp").iter().filter_map(Value::as_u64).collect();
    ensure!(times.is_sorted_by(|newer, older| newer > older), "{times:?}");
    Ok(())
}

fn unordered_webhook_passes_a_failing_event(deployment: &Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    let receiver = Receiver::start()?;
    let policy = json!({ "policy": "constant", "delaySeconds": 3600 });
    let fields = json!({ "ordered": false, "retryPolicy": policy, "events": ["session.*"] });
    Webhook::create(&api, &receiver.url(), fields)?;
    let session = Owned::create(&api, "unordered")?;
    receiver.answer(failing(&session, 2, |_| Answer::status(400)));
    relabel(&session, 4)?;
    receiver.until("the later events arrive", PROMPT, |all| {
        let mut sequences = sequences(all, &session);
        sequences.sort_unstable();
        sequences == [1, 2, 3, 4, 5]
    })?;
    Ok(())
}

fn receiver_that_is_gone_is_disabled_until_it_is_resumed(deployment: &Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    let (receiver, neighbour) = (Receiver::start()?, Receiver::start()?);
    let webhook = Webhook::create(&api, &receiver.url(), json!({ "events": ["session.*"] }))?;
    let neighbouring = json!({ "events": ["webhook.disabled"] });
    Webhook::create(&api, &neighbour.url(), neighbouring)?;
    let session = Owned::create(&api, "gone")?;
    receiver.answer(failing(&session, 2, |_| Answer::status(410)));
    relabel(&session, 1)?;
    let state = webhook.until("the webhook is disabled", |state| state["state"] == "disabled")?;
    ensure!(state["lastError"] == "4xx", "{state}");
    ensure!(webhook.view()?["disabledReason"] == "gone", "{}", webhook.view()?);
    let told = neighbour.until("the neighbour is told", PROMPT, |all| !all.is_empty())?;
    let event = told[0].event();
    let payload = json!({ "webhook": webhook.id, "reason": "gone" });
    ensure!(event["payload"] == payload && event["actor"]["kind"] == "system", "{event}");
    ensure!(audit(&api)?.contains(&event), "not the event of the audit log: {event}");
    receiver.answer(|_| Answer::status(204));
    relabel(&session, 2)?;
    std::thread::sleep(QUIET);
    let before = sequences(&receiver.deliveries(), &session);
    ensure!(before == [1, 2], "a disabled webhook gets {before:?}");
    ensure!(webhook.act(":resume")?["disabledReason"].is_null(), "it is still disabled");
    let seen = receiver
        .until("all events arrive", PROMPT, |all| sequences(all, &session).last() == Some(&4))?;
    let order = sequences(&seen, &session);
    ensure!(order == [1, 2, 2, 3, 4], "{order:?}");
    Ok(())
}

fn event_without_further_attempts_is_a_dead_letter(deployment: &Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    let receiver = Receiver::start()?;
    let policy = json!({ "policy": "constant", "delaySeconds": 1, "attempts": 2 });
    let fields = json!({ "retryPolicy": policy, "events": ["session.*"] });
    let webhook = Webhook::create(&api, &receiver.url(), fields)?;
    let session = Owned::create(&api, "dead letter")?;
    receiver.answer(failing(&session, 2, |_| Answer::status(422)));
    relabel(&session, 3)?;
    let seen = receiver.until("the later events arrive", PROMPT, |all| {
        sequences(all, &session).last() == Some(&4)
    })?;
    let order = sequences(&seen, &session);
    ensure!(order == [1, 2, 2, 3, 4], "{order:?}");
    let dead = of_session(&seen, &session)[1].id().to_owned();
    let state = webhook.until("the session is no longer blocked", |state| {
        state["dead"] == 1 && state["blockedSessions"] == 0
    })?;
    ensure!(state["failed"] == 2, "{state}");
    let [letter] = &webhook.all("/dead-letters")?[..] else { anyhow::bail!("not one dead letter") };
    let facts = (&letter["event"], &letter["session"], &letter["attempts"], &letter["status"]);
    let expected = (&json!(dead), &json!(session.id), &json!(2), &json!(422));
    ensure!(facts == expected && letter["outcome"] == "4xx", "{letter}");
    ensure!(letter["replayedAt"].is_null() && letter["diedAt"].is_u64(), "{letter}");
    receiver.answer(|_| Answer::status(204));
    let path = |event: &str, action: &str| webhook.path(&format!("/dead-letters/{event}{action}"));
    api.action(&path(&dead, ":replay"))?.expect(204)?;
    let seen = receiver.until("the dead letter arrives", PROMPT, |all| {
        all.last().is_some_and(|one| one.id() == dead && one.is_replay())
    })?;
    let replayed = seen.last().context("a delivery")?;
    ensure!(replayed.event() == of_session(&seen, &session)[1].event(), "another body");
    wait::until_true("the replay is recorded", PROMPT, || {
        Ok(webhook.all("/dead-letters")?.iter().all(|letter| letter["replayedAt"].is_u64()))
    })?;
    let delivered = of_session(&seen, &session)[0].id();
    for unknown in [delivered, "evt_01JGXS1DN0000000000000ZZZZ", "x"] {
        api.action(&path(unknown, ":replay"))?.expect_error(404, "not_found")?;
        api.action(&path(unknown, ":skip"))?.expect_error(404, "not_found")?;
    }
    Ok(())
}

fn failing_event_is_skipped_on_request(deployment: &Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    let receiver = Receiver::start()?;
    let policy = json!({ "policy": "constant", "delaySeconds": 3600 });
    let fields = json!({ "retryPolicy": policy, "events": ["session.*"] });
    let webhook = Webhook::create(&api, &receiver.url(), fields)?;
    let session = Owned::create(&api, "skipped")?;
    receiver.answer(failing(&session, 2, |_| Answer::status(302)));
    relabel(&session, 3)?;
    webhook.until("the session waits", |state| state["blockedSessions"] == 1)?;
    let seen = receiver.deliveries();
    ensure!(sequences(&seen, &session) == [1, 2], "{:?}", sequences(&seen, &session));
    let failed = of_session(&seen, &session)[1].id();
    api.action(&webhook.path(&format!("/dead-letters/{failed}:skip")))?.expect(204)?;
    let seen = receiver.until("the later events arrive", PROMPT, |all| {
        sequences(all, &session).last() == Some(&4)
    })?;
    ensure!(sequences(&seen, &session) == [1, 2, 3, 4], "{:?}", sequences(&seen, &session));
    wait::until_true("the skipped event is a dead letter", PROMPT, || {
        let letters = webhook.all("/dead-letters")?;
        Ok(letters.len() == 1 && letters[0]["event"] == failed)
    })
}

/// A receiver that does not work costs single tests, no attempts of events, and loses nothing.
fn outage_is_tested_by_single_requests(deployment: &Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    let receiver = Receiver::start()?;
    receiver.answer(|_| Answer::status(503));
    let webhook = Webhook::create(&api, &receiver.url(), json!({ "events": ["session.*"] }))?;
    let sessions: Vec<_> =
        (0..10).map(|n| Owned::create(&api, &format!("outage {n}"))).collect::<Result<_>>()?;
    let state =
        webhook.until("the receiver is found failing", |state| state["state"] == "failing")?;
    ensure!(state["lastError"] == "5xx" && state["dead"] == 0, "{state}");
    let before = receiver.count();
    relabel(&sessions[0], 20)?;
    std::thread::sleep(2 * QUIET);
    let tests = receiver.count() - before;
    ensure!(tests <= 3, "{tests} requests to a receiver that does not work");
    receiver.answer(|_| Answer::status(204));
    webhook.act(":resume")?;
    let state = webhook.until("all is delivered", |state| state["delivered"] == 30)?;
    ensure!(state["lag"] == 0 && state["dead"] == 0 && state["lastError"].is_null(), "{state}");
    let mut order = sequences(&receiver.deliveries(), &sessions[0]);
    order.dedup();
    ensure!(order == (1..=21).collect::<Vec<_>>(), "{order:?}");
    Ok(())
}

fn retry_after_is_obeyed(deployment: &Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    let receiver = Receiver::start()?;
    let policy = json!({ "policy": "constant", "delaySeconds": 1 });
    let fields = json!({ "retryPolicy": policy, "events": ["session.*"] });
    Webhook::create(&api, &receiver.url(), fields)?;
    receiver.answer(|delivery| match delivery.header("x-webhook-attempt") {
        Some("1") => Answer::with_header(429, "Retry-After", "4"),
        _ => Answer::status(204),
    });
    let session = Owned::create(&api, "later")?;
    let seen = receiver.until("the second attempt arrives", PROMPT, |all| all.len() >= 2)?;
    ensure!(sequences(&seen, &session) == [1, 1], "{:?}", sequences(&seen, &session));
    let delay = seen[1].at.duration_since(seen[0].at).as_millis();
    ensure!((3_900..6_000).contains(&delay), "the second attempt came after {delay} ms");
    Ok(())
}
