//! Two organizations within their rate limits: one uses as much as possible, the other a moderate
//! amount.

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

/// Number of keys of the greedy organization, so that the limit of the organization applies first.
const KEYS: usize = 2;
/// Number of sessions that a node links at the same time.
const LINKING_SLOTS: usize = 32;
/// Upper bound of the router's share of a processor without requests.
const IDLE: f64 = 0.2;
/// Time within which accepted work is done or postponed.
const IDLE_WITHIN: Duration = Duration::from_secs(20);
/// Duration of a measurement of the processor time.
const SAMPLE: Duration = Duration::from_secs(2);

/// Upper bound of the size of the database's files afterwards, in bytes.
const MAX_DATABASE: u64 = 1024 * 1024 * 1024;
/// Quotas that fill up within the seconds of the small size.
const SMALL_QUOTAS: [(&str, &str); 4] = [
    ("BERTH_SESSION_QUOTA", "60"),
    ("BERTH_API_KEY_QUOTA", "10"),
    ("BERTH_IDEMPOTENCY_QUOTA", "4KiB"),
    ("BERTH_METADATA_QUOTA", "200KiB"),
];

/// A way to use up a shared resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Overuse {
    Bodies,
    Polls,
    LinkingSlots,
    Capacity,
    Writes,
}

impl Overuse {
    const ALL: [Self; 5] =
        [Self::Bodies, Self::Polls, Self::LinkingSlots, Self::Capacity, Self::Writes];

    const fn name(self) -> &'static str {
        match self {
            Self::Bodies => "bodies that do not end",
            Self::Polls => "long polls",
            Self::LinkingSlots => "sessions that wait for a phone",
            Self::Capacity => "a node full of stopped sessions",
            Self::Writes => "writes without pause",
        }
    }

    /// Returns the number of sessions that the node accepts.
    fn capacity(self, extent: Extent) -> usize {
        match self {
            Self::Capacity => extent.choose(40, 500),
            // Most of the sessions cannot be placed.
            Self::Writes => 10,
            Self::Bodies | Self::Polls | Self::LinkingSlots => 500,
        }
    }
}

/// Runs the cases one after the other: each measures answers and needs the whole machine.
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
    Ok(format!("the other organization is served in {served} of {} cases", Overuse::ALL.len()))
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
    let ordinary_clients = stack.api.with_credential(Some(stack.key("ordinary", &["manage"])?));
    let keys =
        (0..KEYS).map(|number| stack.named_key("greedy", &format!("k{number}"), &["manage"]));
    let greedy = Greedy {
        stack,
        keys: keys.collect::<Result<_>>()?,
        hostile_clients: HostileClients::new()?,
    };
    let writer = greedy.take(plan, overuse).context("the greedy organization")?;
    // A node that is full of linking sessions has no room for a session of any organization.
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
        println!("          answers to the greedy organization: {answers}");
        until_idle(stack)?;
        // The default quotas do not fill up within a minute at the default rates.
        let met = answers.met_every_quota() || plan.extent == Extent::Full;
        ensure!(met, "not every quota was reported as full: {answers}");
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
    /// Uses up the resource until this value is dropped.
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
                let waiting = self.begin(LINKING_SLOTS * 2)?.split_off(LINKING_SLOTS);
                let poll = |session: &Owned| {
                    let credential = session.api.credential();
                    HostileRequest::get(path_of(&session.id, "/qr?wait=30"), credential)
                };
                let requests: Vec<_> = waiting.iter().map(poll).collect();
                self.hostile_clients.hold_streams(address, 32, 64, &requests);
            }
            Overuse::LinkingSlots => {
                drop(self.begin(plan.extent.choose(LINKING_SLOTS * 2, LINKING_SLOTS * 6))?);
            }
            Overuse::Capacity => self.fill_and_stop(overuse.capacity(plan.extent))?,
            Overuse::Writes => return Ok(Some(Writer::start(&self.clients()))),
        }
        Ok(None)
    }

    fn clients(&self) -> Vec<Api> {
        self.keys.iter().map(|key| self.stack.api.with_credential(Some(key.clone()))).collect()
    }

    /// Creates sessions that wait for a phone, which never scans.
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
        let turns = LINKING_SLOTS.min(count);
        wait::until("all linking slots are taken", PATIENCE, || {
            let all = list(&clients[0])?;
            let shown = all.iter().filter(|session| session["status"] == "scan_qr_code").count();
            ensure!(shown >= turns - 1, "{shown} of {count} sessions show a QR code");
            Ok(Some(()))
        })?;
        Ok(begun)
    }

    /// Fills the node and stops all of its sessions.
    fn fill_and_stop(&self, capacity: usize) -> Result<()> {
        for session in self.begin(capacity)? {
            session.api.action(&path_of(&session.id, ":stop"))?.expect(200)?;
        }
        Ok(())
    }
}

/// Checks that sessions and events of an organization stay within the quotas.
fn must_be_bounded(stack: &Stack) -> Result<()> {
    let size = stack.database_files()?;
    ensure!(size < MAX_DATABASE, "the database's files hold {} MiB", size / 1024 / 1024);
    Ok(())
}

/// Waits until the router uses little processor time: postponed work is not retried in a busy loop.
fn until_idle(stack: &Stack) -> Result<()> {
    let pid = stack.berth_id().context("berth does not run")?;
    wait::until("berth is idle", IDLE_WITHIN, || {
        let before = processor::time_of(pid)?;
        thread::sleep(SAMPLE); // duration of the measurement
        let used = processor::time_of(pid)?.saturating_sub(before);
        let share = used.as_secs_f64() / SAMPLE.as_secs_f64();
        ensure!(share < IDLE, "{:.0} % of a processor", share * 100.0);
        Ok(Some(()))
    })
}
