//! `bench`: measures the speed and the memory of release builds over real sockets. Each figure
//! stands beside a reference from the same run on the same machine.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the figures go to the terminal")]

mod aim;
mod bare;
mod bare_sender;
mod bare_streams;
mod chapter;
mod connection;
mod delays;
mod environment;
mod fairness;
mod figure;
mod fleet;
mod flood;
mod followed;
mod forged;
mod get;
mod hooks;
mod isolation;
mod large_node;
mod latency;
mod linked_sessions;
mod lists;
mod live;
mod load;
mod loaded_memory;
mod memory;
mod messages;
mod mixed;
mod options;
mod page;
mod paired_requests;
mod refusals;
mod rounds;
mod scheduled;
mod seeded;
mod served;
mod session_writer;
mod spread;
mod sqlite;
mod start;
mod statements;
mod storm;
mod target;
mod waiting;
mod waits;
mod welch;
mod write_load;
mod writes;

use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser as _;
use testbed::{
    folder::Folder, interrupt, options::Prebuilt, programs::Programs, workspace::Workspace,
};

use crate::{
    chapter::Chapter,
    environment::Environment,
    options::{Bench, Internal, Measure, Size},
};

/// What every measurement works with.
#[derive(Debug)]
struct Setup {
    programs: Programs,
    /// Another build, for measurements that compare two builds in one run.
    against: Option<Programs>,
    /// Folder for logs, removed afterwards: an access log grows long.
    scratch: Folder,
    size: Size,
}

/// A measurement.
type Measurement = fn(&Setup) -> Result<Chapter>;

/// Every measurement in the order of the page.
const ALL: [(Measure, Measurement); 14] = [
    (Measure::Start, start::measure),
    (Measure::Memory, memory::measure),
    (Measure::Fleet, fleet::measure),
    (Measure::Get, get::measure),
    (Measure::Mixed, mixed::measure),
    (Measure::Latency, latency::measure),
    (Measure::Waits, waits::measure),
    (Measure::Fairness, fairness::measure),
    (Measure::Writes, writes::measure),
    (Measure::Isolation, isolation::measure),
    (Measure::Lists, lists::measure),
    (Measure::Live, live::measure),
    (Measure::Hooks, hooks::measure),
    (Measure::Messages, messages::measure),
];

fn main() -> ExitCode {
    match run(&Bench::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("\n{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(asked: &Bench) -> Result<ExitCode> {
    interrupt::watch()?;
    match &asked.internal {
        Some(Internal::Bare(bare)) => bare::run(bare),
        Some(Internal::BareSender(bare)) => bare_sender::run(bare),
        Some(Internal::BareStreams(bare)) => bare_streams::run(bare),
        None => measure(&Workspace::find()?, asked),
    }
}

/// Takes the selected measurements and writes the page.
fn measure(workspace: &Workspace, asked: &Bench) -> Result<ExitCode> {
    ensure!(!cfg!(debug_assertions), "this is a debug build of `bench`; use `cargo xtask bench`");
    // The commit of prebuilt programs is unknown.
    let dry = asked.dry || asked.programs.is_some() || asked.against.is_some();
    let find = |folder| Programs::find(workspace, &Prebuilt { programs: folder });
    let programs = find(asked.programs.clone().or_else(|| asked.built.clone()))?;
    let against = asked.against.clone().map(|folder| find(Some(folder))).transpose()?;
    let setup = Setup { programs, against, scratch: Folder::new("bench")?, size: asked.size };
    let mut broken = Vec::new();
    for (name, measure_chapter) in ALL.iter().filter(|(name, _)| asked.measures(*name)) {
        let environment = Environment::read(workspace)?;
        println!("\nmeasuring {}", name.name());
        let chapter = measure_chapter(&setup)?;
        println!("\n{}\n\n{}", environment.sentence(*name), chapter.as_text());
        broken.extend(chapter.broken.iter().cloned());
        if !dry {
            // Written at once, so that an error in a later measurement keeps the earlier ones.
            page::keep(workspace, *name, &chapter.as_markdown(&environment.sentence(*name)))?;
        }
    }
    for promise in &broken {
        eprintln!("broken: {promise}");
    }
    Ok(if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
