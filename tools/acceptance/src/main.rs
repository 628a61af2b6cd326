//! What the API promises, tried from the outside: on a stack of our own, or on somebody's deployment.
//!
//! Decision: ADR 0011.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the results go to the terminal")]

mod multiplexed;
mod options;
mod python;
mod scenarios;
mod suite;

use std::{process::ExitCode, thread};

use anyhow::{Context as _, Result, ensure};
use clap::Parser as _;
use testbed::{
    client::{Api, Credential},
    interrupt,
    issuer::Issuer,
    options::DatabaseKind,
    postgres::Cluster,
    programs::Programs,
    stack::Stack,
    tally::Tally,
    workspace::Workspace,
};

use crate::{options::Contract, scenarios::Pair, suite::Suite};

fn main() -> ExitCode {
    let asked = Contract::parse();
    let outcome = interrupt::watch().and_then(|()| run(&Workspace::find()?, &asked));
    outcome.unwrap_or_else(|error| {
        eprintln!("\n{error:#}");
        ExitCode::FAILURE
    })
}

/// As it was asked for.
fn run(workspace: &Workspace, asked: &Contract) -> Result<ExitCode> {
    let mut tally = Tally::default();
    if let Some(url) = &asked.url {
        let tls = !url.starts_with("https:") || cfg!(feature = "https");
        ensure!(tls, "TLS is not built: `--features https`");
        let key = |key: &Option<String>| key.clone().map(Credential::Key).context("two keys");
        let pair = Pair {
            a: Api::new(url, Some(key(&asked.key_a)?)),
            b: Api::new(url, Some(key(&asked.key_b)?)),
        };
        let token = asked.jwt_a.clone().map(Credential::Token);
        let mut suite = Suite::new(&mut tally, url, &asked.only);
        scenarios::run_remote(&mut suite, workspace, &pair, token);
        return Ok(tally.close());
    }
    let programs = Programs::find(workspace, &asked.prebuilt)?;
    let everything = [DatabaseKind::Sqlite, DatabaseKind::Postgres];
    let chosen = if asked.database.is_empty() { &everything[..] } else { &asked.database };
    on_each_database(workspace, &programs, chosen, &asked.only, &mut tally);
    Ok(tally.close())
}

/// Everything, on each of these databases, side by side: most of it is waiting.
fn on_each_database(
    workspace: &Workspace,
    programs: &Programs,
    databases: &[DatabaseKind],
    only: &[String],
    tally: &mut Tally,
) {
    let on_one = |database: DatabaseKind| {
        let mut tally = Tally::default();
        let name = format!("the contract on {database:?}");
        if let Err(error) = on_database(workspace, programs, database, only, &mut tally) {
            println!("  FAILED  {name}\n{error:#}");
            tally.fail(&name);
        }
        tally
    };
    thread::scope(|scope| {
        let runs: Vec<_> =
            databases.iter().map(|database| scope.spawn(move || on_one(*database))).collect();
        for run in runs {
            match run.join() {
                Ok(counted) => tally.merge(counted),
                Err(_) => tally.fail("the contract panicked"),
            }
        }
    });
}

fn on_database(
    workspace: &Workspace,
    programs: &Programs,
    database: DatabaseKind,
    only: &[String],
    tally: &mut Tally,
) -> Result<()> {
    let (name, mut cluster) = match database {
        DatabaseKind::Sqlite => ("sqlite", None),
        DatabaseKind::Postgres => ("postgres", Some(Cluster::start()?)),
    };
    let url = cluster.as_ref().map(|cluster| cluster.create_database("contract")).transpose()?;
    let issuer = Issuer::start()?;
    let settings = issuer.settings();
    let logs = workspace.scratch("logs")?;
    let mut stack = Stack::start(programs, name, &logs, url, &settings)?;
    let mut suite = Suite::new(tally, name, only);
    scenarios::run_local(&mut suite, workspace, &mut stack, cluster.as_mut(), &issuer)
}
