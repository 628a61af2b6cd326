//! Receivers of one organization that hang do not delay the deliveries of another.

use std::{
    thread,
    time::{Duration, Instant},
};

use acceptance::{deployment::Deployment, webhook::Webhook};
use anyhow::{Result, ensure};
use serde_json::json;
use testbed::{
    receiver::{Answer, Receiver},
    sessions::Owned,
};

use super::{PROMPT, sequences};
use crate::each_database;

each_database!(shared: hanging_receivers_delay_no_other_organization);

/// Upper bound of a delivery on a busy machine.
const SOON: Duration = Duration::from_secs(2);

/// 20 webhooks whose requests hang, with ten sessions, take every request in flight that one
/// organization may have.
fn hanging_receivers_delay_no_other_organization(deployment: &Deployment) -> Result<()> {
    let (a, b) = (deployment.organization()?.api, deployment.organization()?.api);
    let (hanging, healthy) = (Receiver::start()?, Receiver::start()?);
    hanging.answer(|_| Answer::Hang);
    for _ in 0..20 {
        Webhook::create(&a, &hanging.url(), json!({ "events": ["session.created"] }))?;
    }
    Webhook::create(&b, &healthy.url(), json!({ "events": ["session.created"] }))?;
    for n in 0..10 {
        Owned::create(&a, &format!("hangs {n}"))?;
    }
    hanging.until("the organization's requests hang", PROMPT, |all| all.len() >= 60)?;
    let mut slowest = Duration::ZERO;
    for n in 0..20 {
        let began = Instant::now();
        let session = Owned::create(&b, &format!("passes {n}"))?;
        healthy.until("the neighbour's event arrives", PROMPT, |all| {
            sequences(all, &session) == [1]
        })?;
        slowest = slowest.max(began.elapsed());
        thread::sleep(Duration::from_millis(20));
    }
    ensure!(slowest < SOON, "a delivery to a neighbour took {} ms", slowest.as_millis());
    let most = hanging.count();
    ensure!(most <= 70, "{most} requests of one organization were in flight");
    println!("          the slowest of 20 deliveries took {} ms", slowest.as_millis());
    Ok(())
}
