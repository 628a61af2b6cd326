//! `deploy`: tests of everything under `deploy/` on running programs, and the command that builds the
//! Debian packages.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool prints its results")]

mod base;
mod container;
mod dockerfile;
mod images;
mod life;
mod manifests;
mod monitoring;
mod notify_socket;
mod package;
mod package_cycle;
mod packages;
mod recovery;
mod unit;
mod upgrade;

use std::{path::PathBuf, process::ExitCode};

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
    /// Build something that an operator installs.
    #[command(subcommand)]
    Package(Package),
    /// Install, run, upgrade and remove packages, inside namespaces that `check` makes.
    #[command(hide = true)]
    Cycle {
        /// The folder with the packages.
        folder: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum Package {
    /// Build the Debian packages berth and berth-gateway.
    Deb {
        /// The folder of the packages.
        #[arg(long, default_value = "target/packages")]
        to: PathBuf,
        /// The version of the packages [default: that of the workspace].
        #[arg(long)]
        version: Option<String>,
        /// Build nothing: both programs are in this folder.
        #[arg(long)]
        programs: Option<PathBuf>,
    },
}

#[derive(Debug, clap::Args)]
struct Check {
    /// Only checks of this part: images, packages, monitoring, manifests, recovery or upgrade. May be repeated.
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
        Action::Package(Package::Deb { to, version, programs }) => {
            packages::make(&workspace, &to, version, programs)?;
            Ok(ExitCode::SUCCESS)
        }
        Action::Cycle { folder } => {
            package_cycle::run(&folder)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// A part of the checks with its name on the command line.
type Part = (&'static str, fn(&Workspace, &Programs, &mut Checks));

const PARTS: [Part; 6] = [
    ("images", images::check),
    ("packages", packages::check),
    ("monitoring", monitoring::check),
    ("manifests", manifests::check),
    ("recovery", recovery::check),
    ("upgrade", upgrade::check),
];

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
