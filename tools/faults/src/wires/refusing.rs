//! A database that refuses writes: a full disk, or a read-only server.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, anyhow, ensure};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::json;
use testbed::{
    options::DatabaseKind,
    postgres::Cluster,
    sessions::{Owned, path},
};

use crate::{
    Plan,
    deadlines::Deadlines,
    fleet::Fleet,
    watch::{Connection, Truth, Watched},
};

/// The state while writes are refused: reads succeed, and no lease is renewed.
const TRUTH: Truth = Truth { ready: false, connection: Connection::Closed, node_answers: true };

/// Returns the name of the case.
pub(super) const fn name(database: DatabaseKind) -> &'static str {
    match database {
        DatabaseKind::Sqlite => "the database's disk is full",
        DatabaseKind::Postgres => "the database's server is read-only",
    }
}

/// Runs the case: the database refuses writes for a while.
pub(super) fn run(plan: &Plan) -> Result<()> {
    let cluster = match plan.database {
        DatabaseKind::Sqlite => None,
        DatabaseKind::Postgres => Some(Cluster::start()?),
    };
    let name = format!("refusing-{}", plan.database.name());
    let mut fleet = Fleet::start(plan, &name, cluster.as_ref())?;
    if cluster.is_none() {
        fleet.restart_router(&mut on_a_disk_that_can_be_full(&fleet.stack().command()))?;
    }
    refuse_and_take_again(plan, &fleet, cluster.as_ref())
        .map_err(|error| anyhow!("{error:#}\n{}", fleet.tail()))
}

fn refuse_and_take_again(plan: &Plan, fleet: &Fleet, cluster: Option<&Cluster>) -> Result<()> {
    let deadlines = Deadlines::of(plan.extent);
    let watched = Watched::link(fleet.stack(), Owned::create(&fleet.client()?, "watched")?)?;
    set_refusing(fleet, cluster, true)?;
    let refused = watched
        .must_become_true(TRUTH, deadlines.truth)
        .and_then(|()| write_must_be_refused(&watched.session));
    set_refusing(fleet, cluster, false)?;
    refused.context("while it refuses")?;
    watched.must_recover(deadlines.recovery).context("after it takes writes again")
}

fn write_must_be_refused(session: &Owned) -> Result<()> {
    let change = json!({ "label": "not now" }).to_string();
    let reply = session.api.send("PATCH", &path(&session.id), &[], Some(change.as_bytes()))?;
    let reply = reply.expect_error(503, "unavailable").context("a write")?;
    ensure!(reply.header("retry-after").is_some(), "a refused write has no Retry-After");
    Ok(())
}

fn set_refusing(fleet: &Fleet, cluster: Option<&Cluster>, refusing: bool) -> Result<()> {
    let Some(cluster) = cluster else { return set_full(fleet, refusing) };
    let value = if refusing { "on" } else { "off" };
    // A read-only transaction allows ALTER SYSTEM. The reload changes every connection.
    cluster
        .query("postgres", &format!("ALTER SYSTEM SET default_transaction_read_only = {value}"))?;
    cluster.query("postgres", "SELECT pg_reload_conf()")
}

/// Sets the limit of the router's file sizes to 0, so that every write fails.
fn set_full(fleet: &Fleet, full: bool) -> Result<()> {
    let pid = fleet.stack().berth_id().context("berth does not run")?;
    let limit = getrlimit(Resource::Fsize);
    let current = if full { Some(0) } else { limit.current };
    prlimit(Pid::from_raw(pid.cast_signed()), Resource::Fsize, Rlimit { current, ..limit })
        .context("the limit of a file's size")?;
    Ok(())
}

/// Returns `berth` under a shell that ignores SIGXFSZ: a write beyond the limit returns an error,
/// as on a full disk.
fn on_a_disk_that_can_be_full(berth: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; exec \"$0\" serve"]).arg(berth.get_program());
    for (name, value) in berth.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    if let Some(folder) = berth.get_current_dir() {
        shell.current_dir(folder);
    }
    // The log is a file too.
    shell.stdout(Stdio::null()).stderr(Stdio::null());
    shell
}
