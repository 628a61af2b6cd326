//! Making and deleting sessions: how many commits berth acknowledges, beside how many the disk takes.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use testbed::{
    client::{Api, Credential},
    exchange,
    postgres::Cluster,
    sessions,
    stack::Stack,
    together::gather,
};

use crate::{
    Stand,
    aim::Aim,
    chapter::{Chapter, Table},
    line::{Line, request, request_with},
    load::Outcome,
    sqlite::Sqlite,
    statements::Statements,
    target::{self, ROUNDS, Target},
};

const CONNECTIONS: usize = 32;
/// About as much as a session's row holds.
const ROW: usize = 500;
/// Of what the disk takes.
const AIM: Aim = Aim::AtLeast(0.5);

/// Connections that each make a session and delete it, over and over.
#[derive(Debug)]
pub(crate) struct Writes {
    address: SocketAddr,
    credential: Credential,
    connections: usize,
}

/// Takes the figures.
pub(crate) fn measure(stand: &Stand) -> Result<Chapter> {
    let cluster = Cluster::start_durable()?;
    let berth = |name: &str, database: Option<String>| {
        let logs = stand.scratch.path();
        let stack = Stack::start(&stand.programs, name, logs, database, &[])?;
        let api = stack.api.asked_by(Some(stack.key("bench", &["manage"])?));
        Ok::<_, anyhow::Error>((stack, api))
    };
    let (sqlite, sqlite_api) = berth("bench-sqlite", None)?;
    let (postgres, postgres_api) =
        berth("bench-postgres", Some(cluster.create_database("berth")?))?;
    cluster.create_database("alone")?;
    let statements = Statements::one_row(stand, &cluster, "alone", ROW, CONNECTIONS)?;
    let sessions = Statements::written_sessions(stand, &cluster, "berth", CONNECTIONS)?;
    let file = Sqlite::one_row(&stand.scratch.path().join("alone.db"), ROW)?;
    let target = |name, stack: &Stack, api: &Api| {
        let pid = stack.berth_id().context("berth does not run")?;
        Ok::<_, anyhow::Error>(Target::writes(name, pid, Writes::by(api, CONNECTIONS)?))
    };
    let mut targets = [
        Target::file("SQLite alone", file),
        target("berth on SQLite", &sqlite, &sqlite_api)?,
        Target::database("PostgreSQL alone", statements),
        Target::database("PostgreSQL alone, berth's tables", sessions),
        target("berth on PostgreSQL", &postgres, &postgres_api)?,
    ];
    target::ask_in_turn(&mut targets)?;
    chapter(&targets)
}

impl Writes {
    fn by(api: &Api, connections: usize) -> Result<Self> {
        let credential = api.credential().context("nobody writes without a key")?.clone();
        Ok(Self { address: exchange::address(api.base())?, credential, connections })
    }

    /// Writes for so long. One answer that is none of a write, and all of it has failed.
    pub(crate) fn run(&self, duration: Duration) -> Result<Outcome> {
        let end = Instant::now() + duration;
        // A thread a connection: what is waited for is the disk, and that is long.
        let latencies = gather(self.connections, |_| self.write_until(end))?;
        Outcome::of(latencies, duration)
    }

    /// How long each answer took that came in time. What was made is deleted in any case.
    fn write_until(&self, end: Instant) -> Result<Vec<Duration>> {
        let (mut line, mut latencies) = (Line::open(self.address)?, Vec::new());
        let body = Some(r#"{"label":"bench"}"#);
        let key = Some(&self.credential);
        let create = request_with("POST", self.address, sessions::SESSIONS, key, body);
        while Instant::now() < end {
            let heard = line.ask(&create)?;
            let text = String::from_utf8_lossy(heard.body);
            ensure!(heard.status == 201, "made: {}: {text}", heard.status);
            let made: Value = serde_json::from_str(&text)?;
            let created = (Instant::now(), heard.took);
            let id = made["id"].as_str().context("a session has an id")?;
            let delete = request("DELETE", self.address, &sessions::path(id), key);
            let heard = line.ask(&delete)?;
            ensure!(heard.status == 204, "deleted: {}", heard.status);
            let deleted = (Instant::now(), heard.took);
            let in_time = [created, deleted].into_iter().filter(|(at, _)| *at <= end);
            latencies.extend(in_time.map(|(_, took)| took));
        }
        Ok(latencies)
    }
}

fn chapter(targets: &[Target; 5]) -> Result<Chapter> {
    let mut table = Table::new([
        "commits",
        "a second",
        "of the database alone",
        "p50, ms",
        "p99, ms",
        "processor, µs/commit",
    ]);
    let mut findings = Vec::new();
    let [sqlite, on_sqlite, postgres, tables, on_postgres] = targets;
    for (alone, target) in [
        (sqlite, sqlite),
        (sqlite, on_sqlite),
        (postgres, postgres),
        (postgres, tables),
        (postgres, on_postgres),
    ] {
        table.row(target.row(alone, 0)?);
    }
    for (alone, berth) in [(sqlite, on_sqlite), (postgres, on_postgres)] {
        let ratio = berth.rate_by(alone)?.median();
        let sentence = format!("{}: {ratio:.2} of {}", berth.name, alone.name);
        findings.push(AIM.judge(ratio, &sentence, 2));
    }
    let ratio = on_postgres.rate_by(tables)?.median();
    findings.push(format!("{}: {ratio:.2} of {}.", on_postgres.name, tables.name));
    let title = "Making and deleting sessions";
    Ok(Chapter { title, method: method(), table, findings, broken: Vec::new() })
}

fn method() -> String {
    format!(
        "`POST /api/v1/sessions` and then `DELETE` of what it made, with a key, over and over on each of \
         {CONNECTIONS} connections that stay open. Each of the two answers is counted as one commit, for \
         neither is given before a commit is on the disk: 201 and 204, anything else fails the \
         measurement. No node ever holds these sessions, so nothing of them is left to be done in the \
         background. Two seconds of warm-up, then {ROUNDS} rounds of four seconds, the five taking turns; \
         shown are the median of the rounds and their range, and ratios are taken round by round. *SQLite \
         alone* is one thread that inserts a row of {ROW} bytes by a prepared statement, each in a \
         transaction of its own, into a file on the same disk with the journal WAL and \
         `synchronous=FULL`, as berth's file has them: SQLite lets one at a time write, and berth has \
         what is asked for meanwhile share a commit. *PostgreSQL alone* is `pgbench` inserting rows of \
         {ROW} bytes likewise over as many connections as berth is asked on; the server has `fsync` on, \
         and commits of several connections share a flush; *berth's tables* is `pgbench` making and \
         deleting sessions there, over as many connections, each by the statement that berth sends for one \
         alone: a row of a table with eleven indices, and its events, of one with three. Berth writes what \
         comes while it writes together, by one statement (ADR 0022)."
    )
}
