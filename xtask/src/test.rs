//! All tests in one command, which ends with one line of counts.

use std::{
    process::{Command, ExitCode},
    time::Instant,
};

use anyhow::{Result, ensure};
use testbed::{
    checks::Checks,
    options::Prebuilt,
    postgres::Cluster,
    programs::{self, Programs},
    workspace::{self, Workspace},
};

use crate::{
    bless,
    commands::{Part, Test},
    contract, fuzz, gates, rings, tidy, tool,
};

/// Runs the selected parts, or all.
pub(crate) fn run(workspace: &Workspace, asked: &Test) -> ExitCode {
    let wants = |part| asked.only.is_empty() || asked.only.contains(&part);
    let began = Instant::now();
    let mut checks = Checks::default();
    if wants(Part::Gates) {
        gates::run(workspace, &mut checks);
    }
    if wants(Part::Tidy) {
        tidy::check(workspace, &mut checks);
    }
    let built = [Part::Ring, Part::Tidy, Part::Contract, Part::Faults, Part::Browser, Part::Deploy];
    if built.into_iter().any(wants) {
        run_built(workspace, wants, &mut checks);
    }
    if wants(Part::Fuzz) {
        fuzz::check(workspace, &mut checks);
    }
    if wants(Part::Docs) {
        rings::run_examples(workspace, &mut checks);
    }
    println!("\n{} s in total", began.elapsed().as_secs());
    checks.close()
}

/// Runs the parts that need the programs.
fn run_built(workspace: &Workspace, wants: impl Fn(Part) -> bool, checks: &mut Checks) {
    println!();
    let programs = match Programs::find(workspace, &Prebuilt::default()) {
        Ok(programs) => programs,
        Err(error) => {
            println!("{error:#}");
            return checks
                .fail("the programs cannot be built; the parts that need them did not run");
        }
    };
    if wants(Part::Tidy) {
        bless::check(workspace, &programs, checks);
    }
    if wants(Part::Ring)
        && let Err(error) = run_ring(workspace, &programs, checks)
    {
        println!("{error:#}");
        checks.fail("the crates' tests");
    }
    if wants(Part::Contract) {
        contract::local(workspace, &programs, &[], &[], checks);
    }
    if wants(Part::Faults) {
        println!("\nfault suites");
        let folder = programs.folder().as_os_str().to_owned();
        let check = ["--check".into(), "--programs".into(), folder];
        rings::run_tool(workspace, tool::SOAK, &check, checks);
    }
    if wants(Part::Browser) {
        println!("\ndashboard");
        let arguments = ["--programs".into(), programs.folder().as_os_str().to_owned()];
        rings::run_tool(workspace, tool::BROWSER, &arguments, checks);
    }
    if wants(Part::Deploy) {
        println!("\ndeployment");
        let folder = programs.folder().as_os_str().to_owned();
        let arguments = ["check".into(), "--programs".into(), folder];
        rings::run_tool(workspace, tool::DEPLOY, &arguments, checks);
    }
}

/// Runs the tests of the crates with a PostgreSQL server and the programs.
fn run_ring(workspace: &Workspace, programs: &Programs, checks: &mut Checks) -> Result<()> {
    let cluster = Cluster::start()?;
    let variables = [
        ("BERTH_TEST_POSTGRES_URL", cluster.url("postgres")),
        ("BERTH_TEST_BIN", programs.folder().display().to_string()),
    ];
    rings::run(workspace, &variables, checks);
    Ok(())
}

/// Runs all parts on the locked state; fails when the lock file or another file changes.
pub(crate) fn run_as_ci(workspace: &Workspace) -> Result<ExitCode> {
    programs::cargo(workspace, &["metadata", "--locked", "--format-version", "1", "--quiet"])
        .map_err(|error| error.context("Cargo.lock does not match the manifests"))?;
    let before = changes(workspace)?;
    let code = run(workspace, &Test { only: Vec::new() });
    ensure!(changes(workspace)? == before, "the tests changed files of the checkout");
    Ok(code)
}

fn changes(workspace: &Workspace) -> Result<String> {
    let mut git = Command::new("git");
    workspace::answer(git.args(["status", "--porcelain"]).current_dir(&workspace.root))
}
