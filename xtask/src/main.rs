//! `cargo xtask`: the commands that build, run, check, test and measure the workspace.
//!
//! The commands start programs of `tools/` for tests and measurements, and link no crate of berth:
//! a tool verifies the programs and not their sources.

#![allow(clippy::print_stdout, reason = "a tool's output is its product")]

mod bench;
mod bless;
mod commands;
mod contract;
mod fuzz;
mod gates;
mod rings;
mod test;
mod tidy;
mod tool;
mod up;

use std::process::ExitCode;

use clap::Parser as _;
use testbed::{interrupt, workspace::Workspace};

use crate::commands::{Command, Tools};

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("\n{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<ExitCode> {
    let tools = Tools::parse();
    interrupt::watch()?;
    let workspace = Workspace::find()?;
    match tools.command {
        Command::Up(up) => up::run(&workspace, &up),
        Command::Demo(asked) => tool::DEMO.run(&workspace, &asked.arguments),
        Command::Test(test) => Ok(test::run(&workspace, &test)),
        Command::Contract(asked) => contract::run(&workspace, &asked),
        Command::Soak(asked) => tool::soak(&workspace, &asked.arguments),
        Command::Fuzz(fuzz) => fuzz::run(&workspace, &fuzz),
        Command::Mutants(asked) => tool::MUTANTS.run(&workspace, &asked.arguments),
        Command::Tidy(tidy) => tidy::run(&workspace, &tidy),
        Command::Bless(bless) if bless.pictures => bless::pictures(&workspace, &bless.prebuilt),
        Command::Bless(bless) => {
            bless::run(&workspace, &bless.prebuilt).map(|()| ExitCode::SUCCESS)
        }
        Command::Bench(asked) => bench::run(&workspace, &asked.arguments),
        Command::Package(asked) => {
            let arguments =
                ["package".into()].into_iter().chain(asked.arguments).collect::<Vec<_>>();
            tool::DEPLOY.run(&workspace, &arguments)
        }
        Command::Ci => test::run_as_ci(&workspace),
    }
}
