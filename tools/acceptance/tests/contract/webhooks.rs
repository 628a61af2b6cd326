//! Webhooks: deliveries, signatures, failures, replays, settings, isolation, addresses, and the end of
//! routers.

mod addresses;
mod callbacks;
mod deliveries;
mod failures;
mod isolation;
mod kills;
mod neighbours;
mod pauses;
mod replays;
mod seal_keys;
mod secrets;
mod settings;

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use testbed::{
    receiver::{Answer, Delivery},
    sessions::{Owned, path},
};

/// A secret in the form of Standard Webhooks.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// Upper bound of a delivery to a receiver that works.
const PROMPT: Duration = Duration::from_secs(10);
/// Time in which a wrong delivery would have arrived.
const QUIET: Duration = Duration::from_millis(1_500);

/// Changes the label of a session this number of times, which makes an event each.
fn relabel(session: &Owned, times: usize) -> Result<()> {
    let merge = [("Content-Type", "application/merge-patch+json")];
    let label = session.view()?["label"].to_string();
    for n in 0..times {
        let change = json!({ "label": format!("{} {n}", label.trim_matches('"')) }).to_string();
        session
            .api
            .send("PATCH", &path(&session.id), &merge, Some(change.as_bytes()))?
            .expect(200)?;
    }
    Ok(())
}

/// Returns the deliveries of a session's events.
fn of_session<'a>(deliveries: &'a [Delivery], session: &Owned) -> Vec<&'a Delivery> {
    deliveries.iter().filter(|one| one.event()["session"] == session.id.as_str()).collect()
}

/// Returns the sequences of a session's events in the order of their arrival.
fn sequences(deliveries: &[Delivery], session: &Owned) -> Vec<u64> {
    let of_session = of_session(deliveries, session);
    of_session.iter().filter_map(|one| one.event()["sequence"].as_u64()).collect()
}

/// Returns the first arrival of each event.
fn first_arrivals(deliveries: &[Delivery]) -> Vec<Value> {
    let mut seen = HashSet::new();
    let first = deliveries.iter().filter(|one| seen.insert(one.id().to_owned()));
    first.map(Delivery::event).collect()
}

/// Checks that the events are those of the audit log, each once.
fn check_same(arrived: &[Value], audit: &[Value]) -> Result<()> {
    let by_id = |events: &[Value]| -> HashMap<String, Value> {
        events.iter().map(|event| (event["id"].to_string(), event.clone())).collect()
    };
    let (arrived_by_id, audit_by_id) = (by_id(arrived), by_id(audit));
    ensure!(arrived.len() == arrived_by_id.len(), "an event arrived twice");
    for (id, event) in &audit_by_id {
        ensure!(arrived_by_id.contains_key(id), "{event} did not arrive");
        ensure!(arrived_by_id[id] == *event, "{} instead of {event}", arrived_by_id[id]);
    }
    ensure!(arrived.len() == audit.len(), "events that the audit log does not have");
    Ok(())
}

/// Returns an answer for all requests: `otherwise` but for the event of this session and sequence.
fn failing(
    session: &Owned,
    sequence: u64,
    answer: impl Fn(&Delivery) -> Answer + Send + Sync + 'static,
) -> impl Fn(&Delivery) -> Answer + Send + Sync + 'static {
    let id = session.id.clone();
    move |delivery| {
        let event = delivery.event();
        let fails = event["session"] == id.as_str() && event["sequence"] == sequence;
        if fails { answer(delivery) } else { Answer::status(204) }
    }
}
