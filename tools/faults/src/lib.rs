//! The fault suites: the promises of the API under races, network faults, overuse and attacks.
//!
//! Each suite has two sizes (ADR 0034). `cargo xtask test` runs the small size; `cargo xtask soak
//! NAME` runs the full size, for which the promises are stated. `storms` has no small size in
//! `test`: the acceptance tests kill at chosen moments.
//!
//! Decision: ADR 0034.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the results go to the terminal")]

mod anonymous_clients;
mod certificates;
mod deadlines;
mod deployment;
mod fleet;
mod greedy;
mod hostile_clients;
pub mod kill;
mod messages;
pub mod options;
mod ordinary_clients;
mod proxy;
mod raced;
mod storms;
mod streams;
mod watch;
mod wires;

use std::{path::PathBuf, process::ExitCode, thread};

use anyhow::Result;
use testbed::{
    checks::Checks, options::DatabaseKind, programs::Programs, random, workspace::Workspace,
};

use crate::options::{FaultSuite, Soak};

/// The size of a suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// About a minute on two cores, with deadlines that settings shorten.
    Small,
    /// The size and the default deadlines for which the promises are stated.
    Full,
}

impl Extent {
    /// Returns the value of this size.
    fn choose<T>(self, small: T, full: T) -> T {
        match self {
            Self::Small => small,
            Self::Full => full,
        }
    }
}

/// The parameters of a suite.
#[derive(Clone, Debug)]
struct Plan {
    programs: Programs,
    logs: PathBuf,
    extent: Extent,
    database: DatabaseKind,
    /// Seed of every random choice.
    seed: u64,
    /// Number of trials instead of the default, for suites that count trials.
    trials: Option<usize>,
}

/// Runs a suite; counts each of its checks and returns a closing sentence with its figures.
type Run = fn(&Plan, &mut Checks) -> Result<String>;

const fn run_of(suite: FaultSuite) -> Run {
    match suite {
        FaultSuite::Raced => raced::run,
        FaultSuite::Wires => wires::run,
        FaultSuite::Greedy => greedy::run,
        FaultSuite::Strangers => anonymous_clients::run,
        FaultSuite::Storms => storms::run,
        FaultSuite::Streams => streams::run,
        FaultSuite::Messages => messages::run,
    }
}

/// Runs what was asked for.
///
/// # Errors
/// When a suite cannot start at all.
pub fn run(workspace: &Workspace, asked: &Soak) -> Result<ExitCode> {
    let programs = Programs::find(workspace, &asked.prebuilt)?;
    if let Some(suite) = asked.suite {
        return soak(workspace, &programs, suite, asked);
    }
    let mut checks = Checks::default();
    check(workspace, &programs, &mut checks)?;
    Ok(checks.close())
}

/// Runs one suite at its full size, one database after the other.
fn soak(
    workspace: &Workspace,
    programs: &Programs,
    suite: FaultSuite,
    asked: &Soak,
) -> Result<ExitCode> {
    let seed = asked.seed.map_or_else(random::random_seed, Ok)?;
    let everything = [DatabaseKind::Sqlite, DatabaseKind::Postgres];
    let chosen = if asked.database.is_empty() { &everything[..] } else { &asked.database };
    let mut checks = Checks::default();
    let mut sentences = Vec::new();
    for database in chosen {
        let plan = Plan {
            programs: programs.clone(),
            logs: workspace.scratch("logs")?,
            extent: if asked.small { Extent::Small } else { Extent::Full },
            database: *database,
            seed,
            trials: asked.trials,
        };
        sentences.extend(run_suite(suite, &plan, &mut checks));
    }
    let name = suite.name();
    Ok(checks.close_as(&format!("soak {name}, seed {seed}: {}; ", sentences.join("; "))))
}

/// Runs every suite at its small size.
fn check(workspace: &Workspace, programs: &Programs, checks: &mut Checks) -> Result<()> {
    let seed = random::random_seed()?;
    let plan = |database| -> Result<Plan> {
        Ok(Plan {
            programs: programs.clone(),
            logs: workspace.scratch("logs")?,
            extent: Extent::Small,
            database,
            seed,
            trials: None,
        })
    };
    println!("\nfault suites, seed {seed}");
    let (sqlite, postgres) = (plan(DatabaseKind::Sqlite)?, plan(DatabaseKind::Postgres)?);
    for suite in [FaultSuite::Raced, FaultSuite::Wires, FaultSuite::Streams, FaultSuite::Messages] {
        let both = [&sqlite, &postgres];
        let runs = both.map(|plan| move |checks: &mut Checks| drop(run_suite(suite, plan, checks)));
        for counted in at_the_same_time(runs) {
            checks.merge(counted);
        }
    }
    // These suites measure answers and need the whole machine.
    for suite in [FaultSuite::Greedy, FaultSuite::Strangers] {
        run_suite(suite, &sqlite, checks);
    }
    Ok(())
}

/// Runs one suite. An error of the suite counts as a failure.
fn run_suite(suite: FaultSuite, plan: &Plan, checks: &mut Checks) -> Option<String> {
    let name = format!("{} on {}", suite.name(), plan.database.name());
    println!("\n{name}");
    match run_of(suite)(plan, checks) {
        Ok(sentence) => {
            println!("  {name}: {sentence}");
            Some(format!("{}: {sentence}", plan.database.name()))
        }
        Err(error) => {
            println!("  FAILED  {name}\n{error:#}");
            checks.fail(&name);
            None
        }
    }
}

/// Runs these at the same time, each with its own counts.
fn at_the_same_time<const N: usize>(runs: [impl FnOnce(&mut Checks) + Send; N]) -> [Checks; N] {
    thread::scope(|scope| {
        let running = runs.map(|run| {
            scope.spawn(move || {
                let mut checks = Checks::default();
                run(&mut checks);
                checks
            })
        });
        running.map(|one| {
            one.join().unwrap_or_else(|_| {
                let mut checks = Checks::default();
                checks.fail("a fault suite panicked");
                checks
            })
        })
    })
}
