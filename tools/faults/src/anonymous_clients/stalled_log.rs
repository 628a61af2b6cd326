//! A reader of the log that reads nothing delays neither requests nor a stop.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use testbed::{client::Api, parallel::run_on_threads, sessions::SESSIONS, stack::Stack};

use crate::{Plan, deployment::Deployment, ordinary_clients};

/// Number of simultaneous clients.
const CLIENTS: usize = 8;
/// Upper bound of the time to an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs the router with a full pipe as its log.
pub(super) fn run(plan: &Plan) -> Result<()> {
    let mut deployment = Deployment::start(plan, "stalled-log", &[])?;
    let api = deployment.api.with_credential(Some(deployment.key("ordinary", &["manage"])?));
    deployment.stop_berth()?;
    let mut command = deployment.command();
    command.arg("serve").stdout(Stdio::null()).stderr(Stdio::piped());
    deployment.start_berth_as(&mut command, None)?;
    // Each request writes a line: more than a pipe and the queue of lines hold.
    let requests = plan.extent.choose(6_000, 12_000);
    fill(&api.with_timeout(PATIENCE), requests)?;
    let report = ordinary_clients::ask(&api, PATIENCE, false)?;
    report.must_be_answered_within(super::PROMPT)?;
    must_stop(&mut deployment)
}

fn fill(api: &Api, requests: usize) -> Result<()> {
    run_on_threads(CLIENTS, |_| {
        for _ in 0..requests / CLIENTS {
            api.get(SESSIONS)?.expect(200)?;
        }
        Ok(vec![()])
    })
    .map(drop)
}

fn must_stop(stack: &mut Stack) -> Result<()> {
    let began = Instant::now();
    stack.stop_berth()?;
    let took = began.elapsed();
    ensure!(took < super::DRAIN, "berth took {} s to stop", took.as_secs());
    Ok(())
}
