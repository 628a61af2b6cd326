//! A request that is repeated under one idempotency key takes effect once: at the same time, and across
//! a crash.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use acceptance::deployment::Deployment;
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;
use testbed::{
    client::Api,
    http::Reply,
    sessions::{SESSIONS, list},
    stack::Victim,
};

use crate::each_database;

/// Requests that are sent at once under one key.
const SIMULTANEOUS: usize = 1_000;
/// Sessions that are created while the router is killed again and again.
const CREATES: usize = 10_000;
const SENDERS: usize = 16;
/// Time between the start of the router and its next kill.
const LIFE: Duration = Duration::from_millis(1_200);
const PATIENCE: Duration = Duration::from_secs(300);

each_database!(
    exclusive: simultaneous_requests_under_one_key_create_one_session,
    keyed_creates_survive_kills_without_loss_or_duplicate,
);

fn simultaneous_requests_under_one_key_create_one_session(
    deployment: &mut Deployment,
) -> Result<()> {
    let api = deployment.organization()?.api;
    let body = json!({ "label": "once" }).to_string();
    let headers = [("Idempotency-Key", "same")];
    let requests: Vec<_> = (0..SIMULTANEOUS)
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
    ensure!(
        first == 1 && ids.len() == 1,
        "{first} requests were carried out, for {} sessions",
        ids.len()
    );
    let listed = list(&api)?;
    ensure!(listed.len() == 1, "{} sessions", listed.len());
    let again = api.send("POST", SESSIONS, &headers, Some(body.as_bytes()))?.expect(201)?;
    ensure!(ids.contains(&id(&again)?), "another session later");
    ensure!(again.header("idempotency-replayed") == Some("true"), "not a replay");
    Ok(())
}

fn keyed_creates_survive_kills_without_loss_or_duplicate(
    deployment: &mut Deployment,
) -> Result<()> {
    let api = deployment.organization()?.api;
    let stack = &mut deployment.stack;
    let (next, made) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let (mut kills, began) = (0, Instant::now());
    thread::scope(|scope| -> Result<()> {
        let senders: Vec<_> = (0..SENDERS)
            .map(|_| scope.spawn(|| send(&api, &next, &made, began + PATIENCE)))
            .collect();
        while !senders.iter().all(thread::ScopedJoinHandle::is_finished) {
            thread::sleep(LIFE); // the kill may hit any moment of a request
            stack.kill(Victim::Berth)?;
            stack.start_berth()?;
            kills += 1;
        }
        for sender in senders {
            sender.join().map_err(|_| anyhow::anyhow!("a sender panicked"))??;
        }
        Ok(())
    })?;
    stack.recover()?;
    let made = made.into_inner().unwrap_or_else(PoisonError::into_inner);
    let acknowledged: BTreeSet<_> = made.iter().cloned().collect();
    ensure!(acknowledged.len() == CREATES, "two requests got the same session");
    let listed: BTreeSet<_> =
        list(&api)?.iter().filter_map(|s| s["id"].as_str().map(str::to_owned)).collect();
    let lost = acknowledged.difference(&listed).count();
    let duplicates = listed.difference(&acknowledged).count();
    ensure!(lost == 0 && duplicates == 0, "{lost} lost, {duplicates} duplicates");
    ensure!(kills >= 3, "only {kills} kills");
    println!("          {CREATES} creates, {kills} kills, no loss, no duplicate");
    Ok(())
}

/// Creates sessions until all are created; repeats each request until a success.
fn send(api: &Api, next: &AtomicUsize, made: &Mutex<Vec<String>>, until: Instant) -> Result<()> {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= CREATES {
            return Ok(());
        }
        let (name, body) = (format!("create-{number}"), json!({ "label": number.to_string() }));
        let body = body.to_string();
        let headers = [("Idempotency-Key", name.as_str())];
        let id = loop {
            ensure!(Instant::now() < until, "not within {} s", PATIENCE.as_secs());
            match api.send("POST", SESSIONS, &headers, Some(body.as_bytes())) {
                Ok(reply) if reply.status == 201 => break id(&reply)?,
                Ok(reply) if matches!(reply.status, 409 | 503) => {}
                Ok(reply) => bail!("{}: {}", reply.status, String::from_utf8_lossy(&reply.body)),
                Err(_) => thread::sleep(Duration::from_millis(5)), // the router does not listen yet
            }
        };
        made.lock().unwrap_or_else(PoisonError::into_inner).push(id);
    }
}

fn id(reply: &Reply) -> Result<String> {
    Ok(reply.json()["id"].as_str().context("a session has an id")?.to_owned())
}
