//! Deliveries of real sessions' events: complete, in order, signed, and selected by filters.

use std::thread;

use acceptance::{
    deployment::{Deployment, Organization},
    signatures::{Accepted, verify},
    webhook::Webhook,
};
use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::{Value, json};
use testbed::{
    client::Api,
    receiver::{Answer, Delivery, Receiver},
    sessions::{Owned, PATIENCE},
    wait,
};

use super::{PROMPT, QUIET, SECRET, check_same, relabel, sequences};
use crate::{
    each_database,
    streams::{audit, check_sequences},
};

each_database!(
    shared: deliveries_are_the_audit_log_in_order_and_signed,
    signatures_follow_a_rotation,
    filters_select_events,
    ping_reports_the_outcome_and_is_no_event,
);

/// Signatures that nobody may accept.
const NONE: Accepted = Accepted { by_library: false, by_document: false };
const BOTH: Accepted = Accepted { by_library: true, by_document: true };
const LIBRARY: Accepted = Accepted { by_library: true, by_document: false };

fn deliveries_are_the_audit_log_in_order_and_signed(deployment: &Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    let receiver = Receiver::start()?;
    let headers = json!({ "X-Tenant": "7" });
    let fields = json!({ "secret": SECRET, "customHeaders": headers });
    let webhook = Webhook::create(&api, &receiver.url(), fields)?;
    let phone = deployment.stack.phones.new_phone("Delivered")?;
    let linked = Owned::create(&api, "linked")?;
    linked.link(&phone)?;
    live_in_parallel(&api)?;
    linked.delete()?;
    let events = wait::until("the sessions are retired", PATIENCE, || {
        let events = audit(&api)?.split_off(1);
        let retired = events.iter().filter(|event| event["event"] == "session.retired").count();
        Ok((retired == 25).then_some(events))
    })?;
    let count = events.len();
    let deliveries =
        receiver.until("every event arrives", PROMPT, |deliveries| deliveries.len() >= count)?;
    check_same(&receiver.events(), &events)?;
    check_sequences(&receiver.events())?;
    let kinds: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap_or("")).collect();
    for kind in ["webhook.created", "auth.qr", "auth.paired", "session.status", "session.deleted"] {
        ensure!(kinds.contains(&kind), "the test makes no {kind}");
    }
    deliveries.iter().try_for_each(check_headers)?;
    let accepted = verify(&deliveries, &[SECRET, "another secret of 24 characters"])?;
    ensure!(accepted.iter().all(|row| row == &[BOTH, NONE]), "{accepted:?}");
    let state = webhook.until("all is delivered", |state| state["delivered"] == count)?;
    ensure!(state["signed"] == true && state["lag"] == 0 && state["failed"] == 0, "{state}");
    ensure!(state["lastSuccessAt"].is_u64() && state["lastError"].is_null(), "{state}");
    Ok(())
}

/// Three writers create and delete eight sessions each.
fn live_in_parallel(api: &Api) -> Result<()> {
    let live = |writer: usize| -> Result<()> {
        for n in 0..8 {
            let session = Owned::create(api, &format!("{writer} {n}"))?;
            relabel(&session, 2)?;
            session.delete()?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let writers: Vec<_> = (0..3).map(|writer| scope.spawn(move || live(writer))).collect();
        writers
            .into_iter()
            .try_for_each(|writer| writer.join().map_err(|_| anyhow!("a writer panicked"))?)
    })
}

fn check_headers(delivery: &Delivery) -> Result<()> {
    let header = |name: &str| delivery.header(name).unwrap_or_default();
    let event = delivery.event();
    ensure!(delivery.target == "POST /hook", "{}", delivery.target);
    ensure!(header("content-type") == "application/json", "{:?}", delivery.headers);
    ensure!(header("user-agent").starts_with("berth/"), "{:?}", delivery.headers);
    ensure!(event["id"] == header("webhook-id"), "{event} under {:?}", delivery.headers);
    ensure!(header("x-webhook-request-id") == header("webhook-id"), "{:?}", delivery.headers);
    let millis: u64 = header("x-webhook-timestamp").parse().context("X-Webhook-Timestamp")?;
    let written = event["timestamp"].as_u64().context("a time")?;
    ensure!((written..written + 60_000).contains(&millis), "an attempt at {millis} of {event}");
    ensure!(header("webhook-timestamp") == (millis / 1_000).to_string(), "{:?}", delivery.headers);
    ensure!(header("x-webhook-attempt") == "1" && !delivery.is_replay(), "{:?}", delivery.headers);
    ensure!(header("x-webhook-hmac-algorithm") == "sha512", "{:?}", delivery.headers);
    ensure!(delivery.header("x-webhook-hmac-previous").is_none(), "a rotation: {event}");
    ensure!(header("x-tenant") == "7", "{:?}", delivery.headers);
    Ok(())
}

fn signatures_follow_a_rotation(deployment: &Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    let receiver = Receiver::start()?;
    let secrets =
        ["the-first-secret-of-24-chars", SECRET, "whsec_dGhpcmQtc2VjcmV0LW9mLTI0LWJ5dGVz"];
    let fields = json!({ "secret": secrets[0], "events": ["session.*"] });
    let webhook = Webhook::create(&api, &receiver.url(), fields)?;
    let session = Owned::create(&api, "signed")?;
    let next = |count| -> Result<Delivery> {
        let all = receiver.until("the next event arrives", PROMPT, |all| all.len() >= count)?;
        all.into_iter().nth(count - 1).context("a delivery")
    };
    let check = |delivery: &Delivery, expected: [Accepted; 3]| -> Result<()> {
        let accepted = verify(std::slice::from_ref(delivery), &secrets)?;
        ensure!(accepted == [expected], "{accepted:?} of {:?}", delivery.headers);
        Ok(())
    };
    let rotate = |secret: Value| -> Result<Value> {
        let rotated = webhook.patch(&json!({ "secret": secret }))?.expect(200)?.json();
        relabel(&session, 1)?;
        Ok(rotated)
    };
    check(&next(1)?, [BOTH, NONE, NONE])?;
    let rotated = rotate(secrets[1].into())?;
    ensure!(rotated["secretRotatedAt"].is_u64(), "{rotated}");
    let during = next(2)?;
    check(&during, [LIBRARY, BOTH, NONE])?;
    check_previous(&during, secrets[0])?;
    rotate(secrets[2].into())?;
    let again = next(3)?;
    check(&again, [NONE, LIBRARY, BOTH])?;
    check_previous(&again, secrets[1])?;
    webhook.act(":ping")?;
    check(&next(4)?, [NONE, LIBRARY, BOTH])?;
    rotate(Value::Null)?;
    check_unsigned(&next(5)?)?;
    ensure!(webhook.state()?["signed"] == false, "no secret is left");
    Ok(())
}

fn check_unsigned(delivery: &Delivery) -> Result<()> {
    for header in ["webhook-signature", "x-webhook-hmac", "x-webhook-hmac-algorithm"] {
        ensure!(delivery.header(header).is_none(), "{header} without a secret");
    }
    Ok(())
}

/// The header for the previous secret is what the main header would be with that secret.
fn check_previous(delivery: &Delivery, secret: &str) -> Result<()> {
    let previous = delivery.header("x-webhook-hmac-previous").context("a rotation")?.to_owned();
    let signatures = delivery.header("webhook-signature").unwrap_or_default();
    ensure!(signatures.split(' ').count() == 2, "{signatures}");
    let mut moved = delivery.clone();
    moved.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("x-webhook-hmac"));
    moved.headers.push(("X-Webhook-Hmac".to_owned(), previous));
    let accepted = verify(&[moved], &[secret])?;
    ensure!(accepted == [[BOTH]], "{accepted:?}");
    Ok(())
}

fn filters_select_events(deployment: &Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    let session = Owned::create(&api, "watched")?;
    let receivers: Vec<_> = (0..3).map(|_| Receiver::start()).collect::<Result<_>>()?;
    let one = json!({ "sessionId": session.id, "events": null });
    let named = json!({ "events": ["session.created", "auth.*"] });
    let off = json!({ "active": false });
    for (receiver, fields) in receivers.iter().zip([one, named, off]) {
        Webhook::create(&api, &receiver.url(), fields)?;
    }
    let other = Owned::create(&api, "other")?;
    relabel(&session, 2)?;
    relabel(&other, 2)?;
    let last = Owned::create(&api, "last")?;
    let by_session = receivers[0].until("both changes arrive", PROMPT, |all| all.len() >= 2)?;
    ensure!(sequences(&by_session, &session) == [2, 3], "the events of one session");
    let by_name = receivers[1].until("both creations arrive", PROMPT, |all| all.len() >= 2)?;
    thread::sleep(QUIET);
    let created: Vec<_> = by_name.iter().map(|one| one.event()["session"].clone()).collect();
    ensure!(created.contains(&json!(other.id)) && created.contains(&json!(last.id)), "{created:?}");
    let counts: Vec<_> = receivers.iter().map(Receiver::count).collect();
    ensure!(counts == [2, 2, 0], "{counts:?} deliveries");
    Ok(())
}

fn ping_reports_the_outcome_and_is_no_event(deployment: &Deployment) -> Result<()> {
    let Organization { api, name } = deployment.organization()?;
    let receiver = Receiver::start()?;
    let webhook =
        Webhook::create(&api, &receiver.url(), json!({ "secret": SECRET, "events": ["auth.*"] }))?;
    let answers = [
        (Answer::status(200), "2xx", json!(200)),
        (Answer::status(226), "2xx", json!(226)),
        (Answer::with_header(302, "Location", &receiver.url()), "3xx", json!(302)),
        (Answer::status(401), "4xx", json!(401)),
        (Answer::status(429), "429", json!(429)),
        (Answer::status(503), "5xx", json!(503)),
        (Answer::Close, "reset", Value::Null),
    ];
    for (answer, outcome, status) in answers {
        receiver.clear();
        receiver.answer(move |_| answer.clone());
        let ping = webhook.act(":ping")?;
        ensure!(ping["outcome"] == outcome && ping["status"] == status, "{outcome}: {ping}");
        ensure!(ping["durationMs"].is_u64(), "{ping}");
        let [sent] = &receiver.deliveries()[..] else {
            anyhow::bail!("{outcome}: not one request")
        };
        let event = sent.event();
        ensure!(event["event"] == "webhook.ping" && event["organization"] == *name, "{event}");
        ensure!(event["payload"]["webhook"] == webhook.id.as_str(), "{event}");
    }
    drop(receiver);
    let ping = wait::until("the port is closed", PROMPT, || {
        let ping = webhook.act(":ping")?;
        Ok((ping["outcome"] == "connect").then_some(ping))
    })?;
    ensure!(ping["status"].is_null(), "{ping}");
    let kinds = audit(&api)?;
    ensure!(!kinds.iter().any(|event| event["event"] == "webhook.ping"), "a ping is stored");
    ensure!(webhook.all("/attempts")?.is_empty(), "a ping is no attempt at an event");
    Ok(())
}
