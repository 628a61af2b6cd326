//! `browser`: tests of the dashboard in Chromium, on running programs with a simulated WhatsApp. The
//! pictures of the pages stay in the scratch folder of the workspace.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool prints its results")]

mod acts;
mod axe;
mod deployment;
mod driver;
mod pages;
mod pictures;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::Parser;
use testbed::{
    checks::Checks, interrupt, options::Prebuilt, programs::Programs, workspace::Workspace,
};

use crate::deployment::Deployment;

/// Test the dashboard in Chromium.
#[derive(Debug, Parser)]
#[command(name = "browser")]
struct Options {
    /// Test nothing, and write the pictures of the README into this folder.
    #[arg(long)]
    pictures: Option<PathBuf>,
    #[command(flatten)]
    prebuilt: Prebuilt,
}

fn main() -> ExitCode {
    let options = Options::parse();
    match interrupt::watch().and_then(|()| run(&options)) {
        Ok(checks) => checks.close(),
        Err(error) => {
            eprintln!("\n{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<Checks> {
    let workspace = Workspace::find()?;
    let programs = Programs::find(&workspace, &options.prebuilt)?;
    let deployment = Deployment::start(&workspace, &programs)?;
    let mut checks = Checks::default();
    if let Some(folder) = &options.pictures {
        checks.check("the pictures of the README are written", || {
            pictures::take(&deployment, folder)
        });
        return Ok(checks);
    }
    acts::check(&deployment, &mut checks);
    pages::check(&workspace, &deployment, &mut checks);
    println!("\npictures: {}", workspace.scratch("pictures")?.display());
    Ok(checks)
}
