//! `deploy`: tests of everything under `deploy/` on running programs.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool prints its results")]

mod base;
mod container;
mod dockerfile;
mod images;
mod life;
mod manifests;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use testbed::{
    checks::Checks, interrupt, options::Prebuilt, programs::Programs, workspace::Workspace,
};

/// Test what an operator installs, and build it.
#[derive(Debug, Parser)]
#[command(name = "deploy")]
struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Test images, packages, units, boards and manifests.
    Check(Check),
}

#[derive(Debug, clap::Args)]
struct Check {
    /// Only checks of this part: images or manifests. May be repeated.
    #[arg(long)]
    only: Vec<String>,
    #[command(flatten)]
    prebuilt: Prebuilt,
}

fn main() -> ExitCode {
    let options = Options::parse();
    match interrupt::watch().and_then(|()| run(options)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("\n{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    match options.action {
        Action::Check(asked) => Ok(check(&workspace, &asked)?.close()),
    }
}

/// A part of the checks with its name on the command line.
type Part = (&'static str, fn(&Workspace, &Programs, &mut Checks));

const PARTS: [Part; 2] = [("images", images::check), ("manifests", manifests::check)];

fn check(workspace: &Workspace, asked: &Check) -> Result<Checks> {
    let programs = Programs::find(workspace, &asked.prebuilt)?;
    let mut checks = Checks::default();
    for (name, part) in PARTS {
        if asked.only.is_empty() || asked.only.iter().any(|only| only == name) {
            part(workspace, &programs, &mut checks);
        }
    }
    Ok(checks)
}
