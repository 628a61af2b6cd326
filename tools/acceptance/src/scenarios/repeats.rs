//! A request that is repeated under one idempotency key is done once, however it is repeated.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;
use testbed::{
    client::Api,
    exchange::Reply,
    sessions::{SESSIONS, list},
    stack::{Stack, Victim},
};

use crate::suite::Suite;

/// Requests that are sent at once under one key.
const CROWD: usize = 1_000;
/// Sessions that are made while berth is killed again and again.
const CREATES: usize = 10_000;
const SENDERS: usize = 16;
/// How long berth lives between two deaths.
const LIFE: Duration = Duration::from_millis(1_200);
const PATIENCE: Duration = Duration::from_secs(300);

pub(super) fn run(suite: &mut Suite<'_>, stack: &mut Stack) {
    suite.run_on(stack, "1,000 requests at once under one idempotency key make one session", crowd);
    suite.run_on(stack, "kill -9 during 10,000 keyed creates loses none and doubles none", storm);
}

fn crowd(stack: &mut Stack) -> Result<()> {
    let api = stack.api.asked_by(Some(stack.key("org-crowd", &["manage"])?));
    let body = json!({ "label": "once" }).to_string();
    let headers = [("Idempotency-Key", "crowd")];
    let requests: Vec<_> = (0..CROWD)
        .map(|_| api.begin("POST", SESSIONS, &headers, Some(body.as_bytes())))
        .collect::<Result<_>>()?;
    let (mut ids, mut first) = (BTreeSet::new(), 0);
    for request in requests {
        let reply = request.reply()?;
        match reply.status {
            201 => {
                first += usize::from(reply.header("idempotency-replayed").is_none());
                ids.insert(id(&reply)?);
            }
            409 => ensure!(reply.header("retry-after").is_some(), "a conflict that stays"),
            other => bail!("{other}: {}", String::from_utf8_lossy(&reply.body)),
        }
    }
    ensure!(first == 1 && ids.len() == 1, "{first} were carried out, for {} sessions", ids.len());
    let listed = list(&api)?;
    ensure!(listed.len() == 1, "{} sessions", listed.len());
    let again = api.send("POST", SESSIONS, &headers, Some(body.as_bytes()))?.expect(201)?;
    ensure!(ids.contains(&id(&again)?), "another session later");
    ensure!(again.header("idempotency-replayed") == Some("true"), "not a replay");
    Ok(())
}

fn storm(stack: &mut Stack) -> Result<()> {
    let api = stack.api.asked_by(Some(stack.key("org-storm", &["manage"])?));
    let (next, made) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let (mut deaths, began) = (0, Instant::now());
    thread::scope(|scope| -> Result<()> {
        let senders: Vec<_> = (0..SENDERS)
            .map(|_| scope.spawn(|| send(&api, &next, &made, began + PATIENCE)))
            .collect();
        while !senders.iter().all(thread::ScopedJoinHandle::is_finished) {
            thread::sleep(LIFE); // which instant is hit is the point
            stack.kill(Victim::Berth)?;
            stack.start_berth()?;
            deaths += 1;
        }
        for sender in senders {
            sender.join().map_err(|_| anyhow::anyhow!("a sender panicked"))??;
        }
        Ok(())
    })?;
    stack.recover()?;
    let made = made.into_inner().unwrap_or_else(PoisonError::into_inner);
    let acknowledged: BTreeSet<_> = made.iter().cloned().collect();
    ensure!(acknowledged.len() == CREATES, "two requests were told of one session");
    let listed: BTreeSet<_> =
        list(&api)?.iter().filter_map(|s| s["id"].as_str().map(str::to_owned)).collect();
    let lost = acknowledged.difference(&listed).count();
    let doubled = listed.difference(&acknowledged).count();
    ensure!(lost == 0 && doubled == 0, "{lost} lost, {doubled} doubled");
    ensure!(deaths >= 3, "berth died only {deaths} times");
    println!("          {CREATES} creates, {deaths} deaths, none lost, none doubled");
    Ok(())
}

/// Makes sessions until all are made, each asked for until somebody says that it is there.
fn send(api: &Api, next: &AtomicUsize, made: &Mutex<Vec<String>>, until: Instant) -> Result<()> {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= CREATES {
            return Ok(());
        }
        let (name, body) = (format!("storm-{number}"), json!({ "label": number.to_string() }));
        let body = body.to_string();
        let headers = [("Idempotency-Key", name.as_str())];
        let id = loop {
            ensure!(Instant::now() < until, "it takes too long");
            match api.send("POST", SESSIONS, &headers, Some(body.as_bytes())) {
                Ok(reply) if reply.status == 201 => break id(&reply)?,
                Ok(reply) if matches!(reply.status, 409 | 503) => {}
                Ok(reply) => bail!("{}: {}", reply.status, String::from_utf8_lossy(&reply.body)),
                Err(_) => thread::sleep(Duration::from_millis(5)), // nobody listens yet
            }
        };
        made.lock().unwrap_or_else(PoisonError::into_inner).push(id);
    }
}

fn id(reply: &Reply) -> Result<String> {
    Ok(reply.json()["id"].as_str().context("a session has an id")?.to_owned())
}
