//! Builds the programs and runs the acceptance tests: on deployments of its own, or on the deployment
//! of another operator.
//!
//! Decision: ADR 0011.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use testbed::{checks::Checks, options::DatabaseKind, programs::Programs, workspace::Workspace};

use crate::{commands::Contract, rings};

/// The number of tests that run at the same time. Most of a test is waiting, but a test of an outage
/// measures answers.
const THREADS: &str = "--test-threads=6";

/// Runs the selected tests.
pub(crate) fn run(workspace: &Workspace, asked: &Contract) -> Result<ExitCode> {
    let mut checks = Checks::default();
    if let Some(url) = &asked.url {
        remote(workspace, asked, url, &mut checks)?;
    } else {
        let programs = Programs::find(workspace, &asked.prebuilt)?;
        local(workspace, &programs, &asked.database, &asked.only, &mut checks);
    }
    Ok(checks.close())
}

/// Runs the tests on deployments of these programs.
pub(crate) fn local(
    workspace: &Workspace,
    programs: &Programs,
    databases: &[DatabaseKind],
    only: &[String],
    checks: &mut Checks,
) {
    println!("\ncontract");
    let variables = [
        ("BERTH_ACCEPTANCE_BIN", programs.folder().display().to_string()),
        // An error of a test has a log; a backtrace of the harness says nothing.
        ("RUST_BACKTRACE", "0".to_owned()),
    ];
    let skipped = [DatabaseKind::Sqlite, DatabaseKind::Postgres]
        .into_iter()
        .filter(|database| !databases.is_empty() && !databases.contains(database))
        .map(|database| format!("::{}", database.name()))
        .chain(["remote::".to_owned()]);
    let skipped: Vec<_> = skipped.flat_map(|name| ["--skip".to_owned(), name]).collect();
    let names = only.iter().map(|text| text.replace([' ', '-'], "_"));
    let filters: Vec<_> = names.chain(skipped).collect();
    let mut arguments = vec!["test", "--package", "acceptance", "--lib", "--test", "contract"];
    arguments.extend(["--no-fail-fast", "--", THREADS]);
    arguments.extend(filters.iter().map(String::as_str));
    rings::run_tests(workspace, &arguments, &variables, checks);
}

/// Runs the tests that are safe on the deployment of another operator.
fn remote(workspace: &Workspace, asked: &Contract, url: &str, checks: &mut Checks) -> Result<()> {
    println!("\ncontract on {url}");
    let key = |key: &Option<String>| key.clone().context("two keys are necessary");
    let mut variables = vec![
        ("BERTH_CONTRACT_URL", url.to_owned()),
        ("BERTH_CONTRACT_KEY_A", key(&asked.key_a)?),
        ("BERTH_CONTRACT_KEY_B", key(&asked.key_b)?),
    ];
    variables.extend(asked.jwt_a.clone().map(|token| ("BERTH_CONTRACT_JWT_A", token)));
    let mut arguments = vec!["test", "--package", "acceptance", "--test", "contract"];
    if url.starts_with("https:") {
        arguments.extend(["--features", "https"]);
    }
    // Filters of the harness match any of several texts, so `--only` selects among all names.
    let remote = ["remote::".to_owned()];
    let only = asked.only.iter().map(|text| format!("remote::{}", text.replace([' ', '-'], "_")));
    let only: Vec<_> = only.collect();
    let names = if only.is_empty() { &remote[..] } else { &only };
    arguments.extend(["--", THREADS]);
    arguments.extend(names.iter().map(String::as_str));
    rings::run_tests(workspace, &arguments, &variables, checks);
    Ok(())
}
