//! `soak`: runs the fault suites.

#![allow(clippy::print_stderr, reason = "errors go to the terminal")]

use std::process::ExitCode;

use clap::Parser as _;
use faults::options::Soak;
use testbed::{interrupt, workspace::Workspace};

fn main() -> ExitCode {
    let asked = Soak::parse();
    let outcome = interrupt::watch().and_then(|()| faults::run(&Workspace::find()?, &asked));
    outcome.unwrap_or_else(|error| {
        eprintln!("\n{error:#}");
        ExitCode::FAILURE
    })
}
