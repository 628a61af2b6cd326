//! `browser`: tests of the dashboard in Chromium, on running programs with a simulated WhatsApp. The
//! pictures of the pages stay in the scratch folder of the workspace.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool prints its results")]

mod acts;
mod axe;
mod decoder;
mod deployment;
mod driver;
mod issuers;
mod links;
mod logins;
mod losses;
mod open_pages;
mod pages;
mod pictures;
mod screens;
mod second_origin;
mod site_server;

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
    /// Run the full size: every language, and the cases that wait for minutes.
    #[arg(long)]
    full: bool,
    /// Run the logins at real issuers instead, which need Node.js and the npm registry.
    #[arg(long)]
    issuers: bool,
    /// Measure the memory of berth with this number of open pages instead.
    #[arg(long, value_name = "COUNT")]
    open_pages: Option<usize>,
    /// Only this part: acts, links, logins, second-origin, pages or losses; may be repeated.
    #[arg(long)]
    only: Vec<String>,
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
    let mut checks = Checks::default();
    if let Some(pages) = options.open_pages {
        checks.check(&format!("{pages} pages are open"), || {
            open_pages::measure(&workspace, &programs, pages)
        });
        return Ok(checks);
    }
    if options.issuers {
        issuers::check(&workspace, &programs, &mut checks);
        return Ok(checks);
    }
    let mut deployment = Deployment::start(&workspace, &programs)?;
    if let Some(folder) = &options.pictures {
        checks.check("the pictures of the README are written", || {
            pictures::take(&deployment, folder)
        });
        return Ok(checks);
    }
    let runs = |part: &str| options.only.is_empty() || options.only.iter().any(|it| it == part);
    if runs("acts") {
        acts::check(&deployment, &mut checks);
    }
    if runs("links") {
        links::check(&workspace, &deployment, options.full, &mut checks);
    }
    if runs("logins") {
        logins::check(&deployment, &mut checks);
    }
    if runs("second-origin") {
        second_origin::check(&deployment, &mut checks);
    }
    if runs("pages") {
        pages::check(&workspace, &deployment, options.full, &mut checks);
    }
    if runs("losses") {
        losses::check(&mut deployment, &mut checks);
    }
    println!("\npictures: {}", workspace.scratch("pictures")?.display());
    Ok(checks)
}
