//! berth's tools: run it, try it, test it from the outside, and hold its house rules.
//!
//! They build and run the programs and speak to them as anybody would, so nothing here depends on a
//! crate of berth's: what a tool finds true is true of the programs, not of their sources.

#![allow(clippy::print_stdout, reason = "a tool's output is its product")]

mod bench;
mod bless;
mod client;
mod commands;
mod contract;
mod demo;
mod dice;
mod exchange;
mod faults;
mod folder;
mod fuzz;
mod gates;
mod interrupt;
mod issuer;
mod multiplexed;
mod mutants;
mod phones;
mod ports;
mod postgres;
mod process;
mod processor;
mod programs;
mod python;
mod resident;
mod rings;
mod scenarios;
mod sessions;
mod stack;
mod suite;
mod tally;
mod test;
mod tidy;
mod together;
mod up;
mod wait;
mod workspace;

use std::process::ExitCode;

use clap::Parser as _;

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
    let workspace = workspace::Workspace::find()?;
    match tools.command {
        Command::Up(up) => up::run(&workspace, &up),
        Command::Demo(demo) => demo::run(&workspace, &demo).map(|()| ExitCode::SUCCESS),
        Command::Test(test) => Ok(test::run(&workspace, &test)),
        Command::Contract(contract) => contract::run(&workspace, &contract),
        Command::Soak(soak) => faults::soak(&workspace, &soak),
        Command::Fuzz(fuzz) => fuzz::run(&workspace, &fuzz),
        Command::Mutants(mutants) => mutants::run(&workspace, &mutants),
        Command::Tidy(tidy) => tidy::run(&workspace, &tidy),
        Command::Bless(bless) => bless::run(&workspace, &bless).map(|()| ExitCode::SUCCESS),
        Command::Bench(bench) => bench::run(&workspace, &bench),
        Command::BenchHere(bench) => bench::measure(&workspace, &bench),
        Command::BenchBare(bare) => bench::serve_bare(&bare),
        Command::Ci => test::run_as_ci(&workspace),
    }
}
