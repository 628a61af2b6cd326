//! The rate of created and deleted sessions, beside the commits that the disk allows.

use anyhow::{Context as _, Result, bail};
use testbed::{client::Api, postgres::Cluster, programs::Programs, stack::Stack};

use crate::{
    Setup,
    aim::Aim,
    chapter::{Chapter, Table},
    rounds::ROUNDS,
    sqlite::Sqlite,
    statements::Statements,
    target::{self, Target},
    write_load::Writes,
};

const CONNECTIONS: usize = 32;
/// Size of a session's row in bytes, approximately.
const ROW: usize = 500;
/// Target of the ratio to the database alone.
const AIM: Aim = Aim::AtLeast(0.5);

/// Runs the measurement.
pub(crate) fn measure(setup: &Setup) -> Result<Chapter> {
    let cluster = Cluster::start_durable()?;
    let sqlite = berth(setup, &setup.programs, "bench-sqlite", None)?;
    let url = cluster.create_database("berth")?;
    let postgres = berth(setup, &setup.programs, "bench-postgres", Some(url))?;
    cluster.create_database("alone")?;
    let statements = Statements::one_row(setup, &cluster, "alone", ROW, CONNECTIONS)?;
    let sessions = Statements::written_sessions(setup, &cluster, "berth", CONNECTIONS)?;
    let file = Sqlite::one_row(&setup.scratch.path().join("alone.db"), ROW)?;
    let mut targets = vec![
        Target::file("SQLite alone", file),
        target("berth on SQLite", &sqlite)?,
        Target::database("PostgreSQL alone", statements),
        Target::database("PostgreSQL alone, berth's tables", sessions),
        target("berth on PostgreSQL", &postgres)?,
    ];
    let others = setup.against.as_ref().map(|programs| {
        let url = cluster.create_database("other")?;
        let sqlite = berth(setup, programs, "bench-other-sqlite", None)?;
        let postgres = berth(setup, programs, "bench-other-postgres", Some(url))?;
        targets.push(target("other build on SQLite", &sqlite)?);
        targets.push(target("other build on PostgreSQL", &postgres)?);
        Ok::<_, anyhow::Error>([sqlite, postgres])
    });
    let _running = others.transpose()?;
    target::ask_in_turn(&mut targets)?;
    chapter(&targets)
}

/// Starts these programs and creates the key of the writes.
fn berth(
    setup: &Setup,
    programs: &Programs,
    name: &str,
    database: Option<String>,
) -> Result<(Stack, Api)> {
    let stack = Stack::start(programs, name, setup.scratch.path(), database, &[])?;
    let api = stack.api.with_credential(Some(stack.key("bench", &["manage"])?));
    Ok((stack, api))
}

fn target(name: &str, (stack, api): &(Stack, Api)) -> Result<Target> {
    let pid = stack.berth_id().context("berth does not run")?;
    Ok(Target::writes(name, pid, Writes::by(api, CONNECTIONS)?))
}

fn chapter(targets: &[Target]) -> Result<Chapter> {
    let mut table = Table::new([
        "commits",
        "a second",
        "of the database alone",
        "p50, ms",
        "p99, ms",
        "processor, µs/commit",
    ]);
    let mut findings = Vec::new();
    let [sqlite, on_sqlite, postgres, tables, on_postgres, others @ ..] = targets else {
        bail!("the targets differ from those created");
    };
    let rows = [
        (sqlite, sqlite),
        (sqlite, on_sqlite),
        (postgres, postgres),
        (postgres, tables),
        (postgres, on_postgres),
    ];
    for (alone, target) in rows.into_iter().chain([sqlite, postgres].into_iter().zip(others)) {
        table.row(target.row(alone, 0)?);
    }
    for (alone, berth) in [(sqlite, on_sqlite), (postgres, on_postgres)] {
        let ratio = berth.rate_by(alone)?.median();
        let sentence = format!("{}: {ratio:.2} of {}", berth.name, alone.name);
        findings.push(AIM.judge(ratio, &sentence, 2));
    }
    let ratio = on_postgres.rate_by(tables)?.median();
    findings.push(format!("{}: {ratio:.2} of {}.", on_postgres.name, tables.name));
    for (berth, other) in [on_sqlite, on_postgres].into_iter().zip(others) {
        let ratio = berth.rate_by(other)?;
        let ratio = format!("{:.2} ({})", ratio.median(), ratio.range(2));
        findings.push(format!("{} by {}: {ratio}.", berth.name, other.name));
    }
    let title = "Creating and deleting sessions";
    Ok(Chapter { title, method: method(), table, findings, broken: Vec::new() })
}

fn method() -> String {
    format!(
        "`POST /api/v1/sessions` and then `DELETE` of the new session with a key, repeatedly on \
         each of {CONNECTIONS} open connections. Each of the two answers counts as one commit, \
         because berth answers after the commit is on the disk; an answer other than 201 and 204 \
         fails the measurement. No node holds these sessions, so no background work follows. After \
         two seconds of warm-up, the targets take turns in {ROUNDS} rounds of four seconds. The \
         table shows median and range of the rounds; ratios are taken round by round. *SQLite \
         alone* is one thread that inserts rows of {ROW} bytes with a prepared statement, each in \
         a transaction of its own, into a file on the same disk with journal WAL and \
         `synchronous=FULL`, as berth's file. SQLite allows one writer, and in berth simultaneous \
         writes share a commit. *PostgreSQL alone* is `pgbench`, which inserts rows of {ROW} bytes \
         over as many connections; the server has `fsync` on, and commits of several connections \
         share a flush. *berth's tables* is `pgbench`, which creates and deletes sessions over as \
         many connections, each with the statement that berth sends for a single session: a row of \
         a table with eleven indexes, its event, of a table with five, and the counters of its \
         messages. The sessions are of one organization, whose quota every statement locks until \
         its commit (ADR 0031), so that pgbench's commits wait for each other. Berth writes \
         simultaneous changes with one statement (ADR 0022)."
    )
}
