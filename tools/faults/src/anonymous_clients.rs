//! Clients without a credential hold connections, answers and the log while other clients are
//! served.

mod stalled_log;

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, ensure};
use testbed::{
    checks::Checks, client::Api, http::address, parallel::run_on_threads, process,
    resident::Resident, sessions::SESSIONS, stack::Stack, wait,
};

use crate::{
    Plan,
    deployment::Deployment,
    hostile_clients::{HostileClients, HostileRequest},
    ordinary_clients,
};

/// Upper bound of the p99 of other clients' answers.
const PROMPT: Duration = Duration::from_secs(1);
/// Upper bound of the router's resident memory at any time, in kB.
const MEMORY: u64 = 200 * 1024;
/// Time after the end of the attack within which every connection slot is free.
const FREE: Duration = Duration::from_secs(60);
/// Clients that are served at the same time when connection slots are free.
const PLACES: usize = 600;
/// Time in which a hostile client opens all of its connections.
const OPENING: Duration = Duration::from_secs(2);
/// Upper bound of a stop: the drain time of requests, plus a reserve for a slow machine.
const DRAIN: Duration = Duration::from_secs(15);

/// A resource that hostile clients hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    NoWindow,
    BigAnswers,
    Silence,
}

impl Hold {
    const ALL: [Self; 3] = [Self::NoWindow, Self::BigAnswers, Self::Silence];

    const fn name(self) -> &'static str {
        match self {
            Self::NoWindow => "1,024 connections that grant no window",
            Self::BigAnswers => "unread answers of a megabyte",
            Self::Silence => "4,000 silent connections, opened again as they close",
        }
    }

    fn hold(self, hostile_clients: &HostileClients, address: SocketAddr) {
        match self {
            Self::NoWindow => {
                let requests =
                    [HostileRequest::unread("/openapi.json"), HostileRequest::unread(SESSIONS)];
                hostile_clients.hold_streams(address, 1_024, 1, &requests);
            }
            Self::BigAnswers => {
                let script = HostileRequest::unread("/docs/swagger-ui.js");
                hostile_clients.hold_streams(address, 40, 64, std::slice::from_ref(&script));
                hostile_clients.read_nothing(address, 40, &script);
            }
            Self::Silence => hostile_clients.be_silent(address, 4_000),
        }
    }
}

/// Runs the cases one after the other: each measures answers and needs the whole machine.
pub(crate) fn run(plan: &Plan, checks: &mut Checks) -> Result<String> {
    process::allow_connections()?;
    let mut withstood = 0;
    for hold in Hold::ALL {
        let name = format!("{}: {}", plan.database.name(), hold.name());
        checks.check(&name, || {
            withstand(plan, hold)?;
            withstood += 1;
            Ok(())
        });
    }
    let name = format!("{}: a log that nobody reads", plan.database.name());
    checks.check(&name, || stalled_log::run(plan));
    Ok(format!("{withstood} of {} ways to hold connections withstood", Hold::ALL.len()))
}

/// Serves other clients during the attack, and stops the router during a second attack.
fn withstand(plan: &Plan, hold: Hold) -> Result<()> {
    let mut deployment = Deployment::start(plan, "strangers", &[])?;
    let api = deployment.api.with_credential(Some(deployment.key("ordinary", &["manage"])?));
    hold_against(plan, hold, &deployment, &api)
        .map_err(|error| anyhow!("{error:#}\n{}", deployment.tail()))?;
    must_stop_in_time(&mut deployment, hold, &api)
}

fn hold_against(plan: &Plan, hold: Hold, stack: &Stack, api: &Api) -> Result<()> {
    let pid = stack.berth_id().context("berth does not run")?;
    let hostile_clients = HostileClients::new()?;
    hold.hold(&hostile_clients, address(api.base())?);
    thread::sleep(OPENING); // the attack builds up
    let duration = Duration::from_secs(plan.extent.choose(6, 60));
    let report = ordinary_clients::ask(api, duration, false)?;
    let peak = Resident::of(pid)?.peak;
    println!("          {}: {report}, {} MiB", hold.name(), peak / 1024);
    drop(hostile_clients);
    let free = until_free(api);
    report.must_be_answered_within(PROMPT)?;
    ensure!(peak < MEMORY, "berth held {} MiB", peak / 1024);
    free
}

/// Waits until a number of simultaneous clients all get an answer.
fn until_free(api: &Api) -> Result<()> {
    let api = api.with_timeout(Duration::from_secs(10));
    wait::until("every place is free again", FREE, || {
        let answers = run_on_threads(PLACES / 20, |_| {
            let asked = (0..20).map(|_| api.begin("GET", SESSIONS, &[], None));
            let asked = asked.collect::<Result<Vec<_>>>()?;
            asked.into_iter().map(|one| Ok(one.reply()?.status)).collect()
        })?;
        let good = answers.iter().filter(|status| **status == 200).count();
        ensure!(good == answers.len(), "{good} of {} were answered", answers.len());
        Ok(Some(()))
    })
}

/// Repeats the attack and stops the router during it.
fn must_stop_in_time(stack: &mut Stack, hold: Hold, api: &Api) -> Result<()> {
    let hostile_clients = HostileClients::new()?;
    hold.hold(&hostile_clients, address(api.base())?);
    thread::sleep(OPENING); // the attack builds up
    let began = Instant::now();
    stack.stop_berth()?;
    let took = began.elapsed();
    ensure!(took < DRAIN, "berth took {} s to stop", took.as_secs());
    Ok(())
}
