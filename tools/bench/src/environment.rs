//! The circumstances of a figure: machine, date and commit.

use std::{fs, process::Command, thread};

use anyhow::{Context as _, Result};
use testbed::workspace::{self, Workspace};

use crate::{
    options::Measure,
    spread::{float, number},
};

/// The circumstances of a measurement.
#[derive(Clone, Debug)]
pub(crate) struct Environment {
    cores: usize,
    processor: String,
    memory_kb: u64,
    system: String,
    compiler: String,
    commit: String,
    day: String,
    /// Load average of the minute before.
    load: String,
}

impl Environment {
    /// Reads the present circumstances.
    pub(crate) fn read(workspace: &Workspace) -> Result<Self> {
        let loads = fs::read_to_string("/proc/loadavg")?;
        Ok(Self {
            cores: thread::available_parallelism()?.get(),
            processor: field("/proc/cpuinfo", "model name").unwrap_or("unknown processor".into()),
            memory_kb: memory_kb()?,
            system: said(Command::new("uname").args(["-s", "-r", "-m"]))?,
            compiler: said(Command::new("rustc").arg("--version").current_dir(&workspace.root))?,
            commit: commit(workspace)?,
            day: said(Command::new("date").args(["-u", "+%Y-%m-%d"]))?,
            load: loads.split(' ').next().unwrap_or_default().to_owned(),
        })
    }

    /// Returns the sentence below a chapter.
    pub(crate) fn sentence(&self, name: Measure) -> String {
        let Self { cores, processor, system, compiler, commit, day, load, .. } = self;
        let memory = number(float(self.memory_kb) / 1024.0 / 1024.0, 1);
        format!(
            "Taken by `cargo xtask bench {}` on {day} at {commit}: {cores} cores of {processor}, \
             {memory} GiB of memory, {system}, {compiler}; load of the machine in the minute before: \
             {load}.",
            name.name()
        )
    }
}

fn commit(workspace: &Workspace) -> Result<String> {
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        said(git.args(arguments).current_dir(&workspace.root))
    };
    let commit = git(&["rev-parse", "--short=10", "HEAD"])?;
    let sources = ["Cargo.toml", "Cargo.lock", "crates", "migrations", "tools", "xtask"];
    let changes = git(&[&["status", "--porcelain", "--"], &sources[..]].concat())?;
    let more = if changes.is_empty() { "" } else { " with changes that were not committed" };
    Ok(format!("commit {commit}{more}"))
}

fn memory_kb() -> Result<u64> {
    let total = field("/proc/meminfo", "MemTotal").context("/proc/meminfo has no MemTotal")?;
    let kb = total.split(' ').next().and_then(|kb| kb.parse().ok());
    kb.with_context(|| format!("MemTotal is {total:?}"))
}

/// Returns a field of a file with lines of `name: value`.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let values = text.lines().filter_map(|line| line.split_once(':'));
    let mut values = values.filter(|(key, _)| key.trim() == name);
    values.next().map(|(_, value)| value.trim().to_owned())
}

fn said(command: &mut Command) -> Result<String> {
    Ok(workspace::answer(command)?.trim().to_owned())
}
