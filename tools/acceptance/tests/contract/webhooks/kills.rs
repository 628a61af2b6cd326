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

use super::{PROMPT, QUIET, check_same, first_arrivals, relabel};
use crate::streams::{audit, check_sequences};

mod killed_router_loses_and_inverts_nothing {
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
/// Upper bound of a takeover: the lease of 30 s, and the time until another router looks at it.
const TAKEOVER: Duration = Duration::from_secs(32);

/// Makes events until `stopped`, with a pause after each few; requests may fail while routers are
/// killed.
fn storm(api: &Api, pause: Duration, stopped: &AtomicBool) {
    let mut session = None;
    while !stopped.load(Ordering::SeqCst) {
        thread::sleep(pause);
        let next = match &session {
            None => Owned::create(api, "in a storm").map(Some),
            Some(present) => relabel(present, 3).and_then(|()| present.delete()).map(|()| None),
        };
        session = next.unwrap_or_default();
    }
}

/// Runs four writers while `during` runs.
fn in_a_storm(api: &Api, pause: Duration, during: impl FnOnce() -> Result<()>) -> Result<()> {
    let stopped = AtomicBool::new(false);
    thread::scope(|scope| {
        let writers: Vec<_> = (0..4).map(|_| scope.spawn(|| storm(api, pause, &stopped))).collect();
        let outcome = during();
        stopped.store(true, Ordering::SeqCst);
        for writer in writers {
            writer.join().map_err(|_| anyhow!("a writer panicked"))?;
        }
        outcome
    })
}

/// Waits until no event of the organization is missing, and checks all laws.
fn check(api: &Api, webhook: &Webhook, receiver: &Receiver, kills: usize) -> Result<()> {
    let mut expected = Vec::new();
    wait::until("all events arrive", TAKEOVER, || {
        thread::sleep(Duration::from_millis(500)); // the audit log has many pages
        expected = audit(api)?.split_off(1);
        let is_complete = first_arrivals(&receiver.deliveries()).len() >= expected.len();
        Ok(is_complete.then_some(()))
    })?;
    // The cleanup of deleted sessions makes further events.
    wait::until("no further event is missing", 2 * PROMPT, || {
        thread::sleep(QUIET);
        let before = std::mem::replace(&mut expected, audit(api)?.split_off(1));
        let is_complete = first_arrivals(&receiver.deliveries()).len() == expected.len();
        Ok((is_complete && before.len() == expected.len()).then_some(()))
    })?;
    let all = receiver.deliveries();
    let first = first_arrivals(&all);
    check_same(&first, &expected)?;
    check_sequences(&first)?;
    let copies = all.len() - first.len();
    ensure!(copies <= COPIES * kills, "{copies} copies after {kills} kills");
    let state = webhook.until("nothing waits", |state| state["lag"] == 0)?;
    ensure!(state["dead"] == 0 && state["gaps"] == 0, "{state}");
    println!("          {} events, {copies} copies after {kills} kills", expected.len());
    Ok(())
}

/// Kills the only router often while it delivers. Each restarted one delivers before the lease of the
/// killed one would end.
fn kill_often(deployment: &mut Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    let receiver = Receiver::start()?;
    let webhook = Webhook::create(&api, &receiver.url(), json!({}))?;
    let stack = &mut deployment.stack;
    in_a_storm(&api, Duration::from_millis(5), || {
        receiver.until("the router delivers", PROMPT, |all| all.len() >= 50)?;
        for n in 0..KILLS {
            thread::sleep(Duration::from_millis(u64::try_from(n)? * 37 % 150));
            stack.kill(Victim::Berth)?;
            let before = receiver.count();
            stack.start_berth()?;
            receiver.until("the restarted router delivers", PROMPT, |all| all.len() > before)?;
        }
        Ok(())
    })?;
    deployment.stack.recover()?;
    check(&api, &webhook, &receiver, KILLS)
}

/// Kills the router that holds the lease while events are written through another one.
fn take_over(deployment: &mut Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    let receiver = Receiver::start()?;
    let webhook = Webhook::create(&api, &receiver.url(), json!({}))?;
    receiver.until("the first event arrives", PROMPT, |all| !all.is_empty())?;
    let other = Router::start(&deployment.stack, "other")?;
    let through_other = other.with_credential(api.credential());
    let webhook = Webhook { api: through_other.clone(), ..webhook };
    let stack = &mut deployment.stack;
    // Half a minute of events, which are compared one by one.
    in_a_storm(&through_other, Duration::from_millis(300), || {
        receiver.until("the first router delivers", PROMPT, |all| all.len() >= 50)?;
        ensure!(leased(&other)? == 0, "the lease moved while its holder delivers");
        stack.kill(Victim::Berth)?;
        let (killed, before) = (Instant::now(), receiver.count());
        let delivers =
            receiver.until("another router delivers", TAKEOVER, |all| all.len() > before);
        let took = killed.elapsed();
        println!("          takeover after {:.1} s", took.as_secs_f32());
        delivers.map(drop)
    })?;
    deployment.stack.recover()?;
    check(&through_other, &webhook, &receiver, 1)?;
    drop(other);
    Ok(())
}

/// Returns the number of webhooks whose leases this router holds.
fn leased(router: &Router) -> Result<u64> {
    let metrics = router.metrics()?;
    let name = "berth_webhook_endpoints{state=\"leased\"} ";
    let value = metrics.lines().find_map(|line| line.strip_prefix(name));
    value.context("no metric of leases")?.parse().context("a number")
}
