//! `kill -9` of routers: no event is lost, the order stays, and copies are few.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use acceptance::{
    deployment::{Deployment, exclusive},
    webhook::Webhook,
};
use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::json;
use testbed::{
    client::Api, options::DatabaseKind, receiver::Receiver, router::Router, sessions::Owned,
    stack::Victim, wait,
};

use super::{PROMPT, check_same, first_arrivals, relabel};
use crate::streams::{audit, check_sequences};

mod killed_router_loses_and_inverts_nothing {
    /// On PostgreSQL a lease outlives its router by up to 30 s, and the next test covers that.
    #[test]
    fn sqlite() -> anyhow::Result<()> {
        super::exclusive(super::DatabaseKind::Sqlite, super::kill_often)
    }
}

mod another_router_takes_over_within_the_lease {
    #[test]
    fn postgres() -> anyhow::Result<()> {
        super::exclusive(super::DatabaseKind::Postgres, super::take_over)
    }
}

/// Number of kills.
const KILLS: usize = 20;
/// Maximum number of copies for each kill.
const COPIES: usize = 256;
/// Upper bound of a takeover: the lease, and the time until another router looks.
const TAKEOVER: Duration = Duration::from_secs(32);

/// Makes events until `stopped`; requests may fail while routers are killed.
fn storm(api: &Api, stopped: &AtomicBool) {
    let mut session = None;
    while !stopped.load(Ordering::SeqCst) {
        let made = match &session {
            None => Owned::create(api, "in a storm").map(|created| session = Some(created)),
            Some(present) => {
                relabel(present, 5).and_then(|()| present.delete()).map(|()| session = None)
            }
        };
        if made.is_err() {
            session = None;
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Waits until no event of the organization is missing, and checks all laws.
fn check(api: &Api, webhook: &Webhook, receiver: &Receiver, kills: usize) -> Result<()> {
    // The cleanup of deleted sessions makes further events.
    let mut events = audit(api)?;
    wait::until_true("the events end", 2 * PROMPT, || {
        thread::sleep(Duration::from_millis(700));
        let before = std::mem::replace(&mut events, audit(api)?);
        Ok(before.len() == events.len())
    })?;
    let expected: Vec<_> = events.split_off(1);
    receiver.until("all events arrive", 2 * PROMPT, |all| {
        first_arrivals(all).len() >= expected.len()
    })?;
    let all = receiver.deliveries();
    let first = first_arrivals(&all);
    check_same(&first, &expected)?;
    check_sequences(&first)?;
    let copies = all.len() - first.len();
    ensure!(copies <= COPIES * kills, "{copies} copies after {kills} kills");
    let state = webhook.until("nothing waits", |state| state["lag"] == 0)?;
    ensure!(state["dead"] == 0 && state["gaps"] == 0, "{state}");
    println!("          {} events, {copies} copies", expected.len());
    Ok(())
}

fn kill_often(deployment: &mut Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    let receiver = Receiver::start()?;
    let webhook = Webhook::create(&api, &receiver.url(), json!({}))?;
    let stopped = AtomicBool::new(false);
    let stack = &mut deployment.stack;
    thread::scope(|scope| -> Result<()> {
        let writers: Vec<_> = (0..4).map(|_| scope.spawn(|| storm(&api, &stopped))).collect();
        let kills = (0..KILLS).try_for_each(|n| {
            let before = receiver.count();
            wait::until_true("events arrive between kills", PROMPT, || {
                Ok(receiver.count() >= before + 10)
            })?;
            thread::sleep(Duration::from_millis((n as u64 * 37) % 150));
            stack.kill(Victim::Berth)?;
            stack.start_berth()
        });
        stopped.store(true, Ordering::SeqCst);
        for writer in writers {
            writer.join().map_err(|_| anyhow!("a writer panicked"))?;
        }
        kills
    })?;
    stack.recover()?;
    check(&api, &webhook, &receiver, KILLS)
}

fn take_over(deployment: &mut Deployment) -> Result<()> {
    let organization = deployment.organization()?;
    let api = organization.api;
    let receiver = Receiver::start()?;
    let webhook = Webhook::create(&api, &receiver.url(), json!({}))?;
    let session = Owned::create(&api, "before the kill")?;
    receiver.until("the first events arrive", PROMPT, |all| all.len() >= 2)?;
    let mut other = Router::start(&deployment.stack, "other")?;
    let through_other = other.with_credential(api.credential());
    relabel(&session, 50)?; // the first router holds the lease and delivers
    let delivered = receiver.count();
    ensure!(leased(&other)? == 0, "the lease moved while its holder delivers");
    deployment.stack.kill(Victim::Berth)?;
    let killed = Instant::now();
    let outcome = (|| {
        let moved = Owned { api: through_other.clone(), id: session.id.clone() };
        relabel(&moved, 20)?;
        let expected = audit(&through_other)?.len() - 1;
        receiver.until("the other router delivers", TAKEOVER, |all| {
            first_arrivals(all).len() >= expected
        })?;
        ensure!(killed.elapsed() < TAKEOVER, "the takeover took {} s", killed.elapsed().as_secs());
        println!(
            "          {delivered} before the kill; takeover after {:.1} s",
            killed.elapsed().as_secs_f32()
        );
        let webhook = Webhook { api: through_other.clone(), id: webhook.id.clone() };
        check(&through_other, &webhook, &receiver, 1)
    })();
    other.kill()?;
    deployment.stack.recover()?;
    outcome
}

/// Returns the number of webhooks whose leases this router holds.
fn leased(router: &Router) -> Result<u64> {
    let metrics = router.metrics()?;
    let name = "berth_webhook_endpoints{state=\"leased\"} ";
    let value = metrics.lines().find_map(|line| line.strip_prefix(name));
    value.context("no metric of leases")?.parse().context("a number")
}
