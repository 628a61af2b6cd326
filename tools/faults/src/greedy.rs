//! Two organizations within their rates: one takes what it can get, the other works as usual.

mod writer;

use std::{thread, time::Duration};

use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::json;
use testbed::{
    checks::Checks,
    client::{Api, Credential},
    http::address,
    parallel::run_on_threads,
    process, processor,
    sessions::{Owned, PATIENCE, SESSIONS, list, path_of},
    stack::Stack,
    wait,
};

use self::writer::Writer;
use crate::{
    Extent, Plan,
    deployment::Deployment,
    hostile_clients::{HostileClients, HostileRequest},
    ordinary_clients,
};

/// The greedy organization has so many keys, so that its own rate is the limit and not a key's.
const KEYS: usize = 2;
/// As many sessions link at the same time as a node has turns.
const TURNS: usize = 32;
/// The share of a processor that `berth` may use when nobody asks any more.
const IDLE: f64 = 0.2;
/// How long work that was accepted may take until it is done or put off.
const CALM: Duration = Duration::from_secs(20);
/// Over how long the use of the processor is measured.
const MEASURED: Duration = Duration::from_secs(2);

/// What the database's files may hold afterwards, in bytes.
const LARGEST: u64 = 1024 * 1024 * 1024;
/// Quotas that are full within the seconds of the small extent.
const SMALL_QUOTAS: [(&str, &str); 4] = [
    ("BERTH_SESSION_QUOTA", "60"),
    ("BERTH_API_KEY_QUOTA", "10"),
    ("BERTH_IDEMPOTENCY_QUOTA", "4KiB"),
    ("BERTH_METADATA_QUOTA", "200KiB"),
];

/// A way to take what others need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Overuse {
    Bodies,
    Polls,
    Turns,
    Places,
    Writes,
}

impl Overuse {
    const ALL: [Self; 5] = [Self::Bodies, Self::Polls, Self::Turns, Self::Places, Self::Writes];

    const fn name(self) -> &'static str {
        match self {
            Self::Bodies => "bodies that do not end",
            Self::Polls => "long polls",
            Self::Turns => "sessions that wait for a phone",
            Self::Places => "a node full of stopped sessions",
            Self::Writes => "writing without end",
        }
    }

    /// How many sessions the node takes.
    fn capacity(self, extent: Extent) -> usize {
        match self {
            Self::Places => extent.choose(40, 500),
            // Most of what is written cannot be placed.
            Self::Writes => 10,
            Self::Bodies | Self::Polls | Self::Turns => 500,
        }
    }
}

/// Runs the suite, one way after the other: each wants the machine for itself.
pub(crate) fn run(plan: &Plan, checks: &mut Checks) -> Result<String> {
    process::allow_connections()?;
    let mut served = 0;
    for overuse in Overuse::ALL {
        checks.check(&format!("{}: {}", plan.database.name(), overuse.name()), || {
            share(plan, overuse)?;
            served += 1;
            Ok(())
        });
    }
    Ok(format!("the other is served in {served} of {} ways to be greedy", Overuse::ALL.len()))
}

fn share(plan: &Plan, overuse: Overuse) -> Result<()> {
    let mut settings = vec![
        ("BERTH_CREDENTIAL_RATE", "6000".to_owned()),
        ("BERTH_ORGANIZATION_RATE", "12000".to_owned()),
        ("BERTH_GATEWAY_CAPACITY", overuse.capacity(plan.extent).to_string()),
    ];
    if overuse == Overuse::Writes {
        let quotas = plan.extent.choose(&SMALL_QUOTAS[..], &[]);
        settings.extend(quotas.iter().map(|(name, value)| (*name, (*value).to_owned())));
    }
    let deployment = Deployment::start(plan, "greedy", &settings)?;
    let outcome = share_on(plan, overuse, &deployment);
    outcome.map_err(|error| anyhow!("{error:#}\n{}", deployment.tail()))
}

fn share_on(plan: &Plan, overuse: Overuse, stack: &Stack) -> Result<()> {
    let ordinary_clients = stack.api.with_credential(Some(stack.key("polite", &["manage"])?));
    let keys =
        (0..KEYS).map(|number| stack.named_key("greedy", &format!("k{number}"), &["manage"]));
    let greedy = Greedy {
        stack,
        keys: keys.collect::<Result<_>>()?,
        hostile_clients: HostileClients::new()?,
    };
    let writer = greedy.take(plan, overuse).context("the greedy organization")?;
    // A node that is full of sessions which link has no place for one more, whoever they belong to.
    let codes = overuse != Overuse::Writes;
    let report = ordinary_clients::ask(
        &ordinary_clients,
        Duration::from_secs(plan.extent.choose(5, 60)),
        codes,
    )?;
    println!("          {}: {report}", overuse.name());
    drop(greedy.hostile_clients);
    if let Some(writer) = writer {
        let answers = writer.stop()?;
        println!("          the greedy organization was answered {answers}");
        must_come_to_rest(stack)?;
        // The default quotas are too large to be filled within a minute at the default rates.
        let met = answers.met_every_quota() || plan.extent == Extent::Full;
        ensure!(met, "not every quota was said to be full: {answers}");
        must_be_bounded(stack)?;
    }
    report.must_be_served()
}

/// The greedy organization.
struct Greedy<'a> {
    stack: &'a Stack,
    keys: Vec<Credential>,
    hostile_clients: HostileClients,
}

impl Greedy<'_> {
    /// Takes it, and goes on as long as this lives.
    fn take(&self, plan: &Plan, overuse: Overuse) -> Result<Option<Writer>> {
        let address = address(self.stack.api.base())?;
        match overuse {
            Overuse::Bodies => {
                let slow = |key| HostileRequest::slow_post(SESSIONS, Some(key));
                let requests: Vec<_> = self.keys.iter().map(slow).collect();
                self.hostile_clients.hold_streams(address, 32, 64, &requests);
                self.hostile_clients.drip(address, 200, &requests[0]);
            }
            Overuse::Polls => {
                let waiting = self.begin(TURNS * 2)?.split_off(TURNS);
                let poll = |session: &Owned| {
                    let credential = session.api.credential();
                    HostileRequest::get(path_of(&session.id, "/qr?wait=30"), credential)
                };
                let requests: Vec<_> = waiting.iter().map(poll).collect();
                self.hostile_clients.hold_streams(address, 32, 64, &requests);
            }
            Overuse::Turns => drop(self.begin(plan.extent.choose(TURNS * 2, TURNS * 6))?),
            Overuse::Places => self.fill_and_stop(overuse.capacity(plan.extent))?,
            Overuse::Writes => return Ok(Some(Writer::start(&self.clients()))),
        }
        Ok(None)
    }

    fn clients(&self) -> Vec<Api> {
        self.keys.iter().map(|key| self.stack.api.with_credential(Some(key.clone()))).collect()
    }

    /// Has so many sessions wait for a phone that never comes.
    fn begin(&self, count: usize) -> Result<Vec<Owned>> {
        let clients = self.clients();
        let begun = run_on_threads(8, |which| {
            let api = &clients[which % clients.len()];
            let mine = (which..count).step_by(8);
            mine.map(|_| {
                let reply = api.post(SESSIONS, &json!({ "label": "greedy", "start": true }))?;
                let reply = reply.expect(201)?.json();
                let id = reply["id"].as_str().context("a session has an id")?.to_owned();
                Ok(Owned { api: api.clone(), id })
            })
            .collect()
        })?;
        let turns = TURNS.min(count);
        wait::until("all turns are taken", PATIENCE, || {
            let all = list(&clients[0])?;
            let shown = all.iter().filter(|session| session["status"] == "scan_qr_code").count();
            ensure!(shown >= turns - 1, "{shown} of {count} sessions show a QR code");
            Ok(Some(()))
        })?;
        Ok(begun)
    }

    /// Fills the node and stops everything on it.
    fn fill_and_stop(&self, capacity: usize) -> Result<()> {
        for session in self.begin(capacity)? {
            session.api.action(&path_of(&session.id, ":stop"))?.expect(200)?;
        }
        Ok(())
    }
}

/// What an organization wrote takes no more than its quotas allow, and the events that tell of it.
fn must_be_bounded(stack: &Stack) -> Result<()> {
    let size = stack.database_files()?;
    ensure!(size < LARGEST, "the database's files hold {} MiB", size / 1024 / 1024);
    Ok(())
}

/// Waits until `berth` uses little of the processor: what cannot be done now is not tried without end.
fn must_come_to_rest(stack: &Stack) -> Result<()> {
    let pid = stack.berth_id().context("berth does not run")?;
    wait::until("berth has come to rest", CALM, || {
        let before = processor::time_of(pid)?;
        thread::sleep(MEASURED); // the span over which it is measured
        let used = processor::time_of(pid)?.saturating_sub(before);
        let share = used.as_secs_f64() / MEASURED.as_secs_f64();
        ensure!(share < IDLE, "{:.0} % of a processor", share * 100.0);
        Ok(Some(()))
    })
}
