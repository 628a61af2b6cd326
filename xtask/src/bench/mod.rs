//! How fast and how small berth is: release builds, real sockets, and beside every figure the limit it
//! is measured against, taken in the same minutes on the same machine.
//!
//! A tool built without optimisation would measure itself. So `bench` builds everything for release,
//! this tool included, and lets that one measure.

mod aim;
mod bare;
mod busy;
mod chapter;
mod crowd;
mod duel;
mod fairness;
mod fleet;
mod flood;
mod forged;
mod get;
mod isolation;
mod latency;
mod line;
mod lists;
mod load;
mod machine;
mod memory;
mod paced;
mod page;
mod refusals;
mod seeded;
mod served;
mod spread;
mod sqlite;
mod start;
mod statements;
mod storm;
mod target;
mod waiting;
mod waits;
mod welch;
mod writes;

use std::process::{Command, ExitCode};

use anyhow::{Result, ensure};

pub(crate) use self::bare::run as serve_bare;
use self::{chapter::Chapter, machine::Machine};
use crate::{
    commands::{Bench, Measure, Prebuilt, Size},
    folder::Folder,
    process::Process,
    programs::{Programs, TOOL},
    workspace::Workspace,
};

/// What a measurement works with.
#[derive(Debug)]
struct Stand {
    programs: Programs,
    /// For logs and the like. It goes away afterwards: a log with a line a request grows long.
    scratch: Folder,
    size: Size,
}

/// How a measurement is taken.
type Taken = fn(&Stand) -> Result<Chapter>;

/// Every measurement there is, in the order of the page.
const ALL: [(Measure, Taken); 10] = [
    (Measure::Start, start::measure),
    (Measure::Memory, memory::measure),
    (Measure::Fleet, fleet::measure),
    (Measure::Get, get::measure),
    (Measure::Latency, latency::measure),
    (Measure::Waits, waits::measure),
    (Measure::Fairness, fairness::measure),
    (Measure::Writes, writes::measure),
    (Measure::Isolation, isolation::measure),
    (Measure::Lists, lists::measure),
];

/// Builds everything for release and hands over to the tool that came of it.
pub(crate) fn run(workspace: &Workspace, asked: &Bench) -> Result<ExitCode> {
    let programs = if let Some(folder) = &asked.programs {
        Programs::find(workspace, &Prebuilt { programs: Some(folder.clone()) })?
    } else {
        let seeded = [Measure::Start, Measure::Lists];
        Programs::for_release(workspace, seeded.iter().any(|name| asked.measures(*name)))?
    };
    let mut tool = Command::new(programs.program(TOOL));
    tool.current_dir(&workspace.root).arg("bench-here").arg("--programs").arg(programs.folder());
    // Of programs that were given, nobody knows from which sources they come.
    if asked.dry || asked.programs.is_some() {
        tool.arg("--dry");
    }
    tool.args(asked.size.arguments());
    tool.args(asked.names.iter().map(|name| name.name()));
    let status = Process::spawn(TOOL, &mut tool, None)?.wait()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Measures with this very tool, and writes down what it found.
pub(crate) fn measure(workspace: &Workspace, asked: &Bench) -> Result<ExitCode> {
    ensure!(!cfg!(debug_assertions), "this tool is built without optimisation: use `bench`");
    let prebuilt = Prebuilt { programs: asked.programs.clone() };
    let programs = Programs::find(workspace, &prebuilt)?;
    let stand = Stand { programs, scratch: Folder::new("bench")?, size: asked.size };
    let mut broken = Vec::new();
    for (name, take) in ALL.iter().filter(|(name, _)| asked.measures(*name)) {
        let machine = Machine::look(workspace)?;
        println!("\nmeasuring {}", name.name());
        let chapter = take(&stand)?;
        println!("\n{}\n\n{}", machine.sentence(*name), chapter.as_text());
        broken.extend(chapter.broken.iter().cloned());
        if !asked.dry {
            // At once: what a later measurement meets does not undo an earlier one.
            page::keep(workspace, *name, &chapter.as_markdown(&machine.sentence(*name)))?;
        }
    }
    for promise in &broken {
        eprintln!("broken: {promise}");
    }
    Ok(if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
