//! One fuzz target, and what libFuzzer says of it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use testbed::{process::Process, wait};

/// No input is longer: nothing that is read here takes more.
const LONGEST: &str = "-max_len=4096";
/// An input that takes so many seconds is a crash.
const SLOWEST: &str = "-timeout=20";
/// So is one that takes so many megabytes.
const LARGEST: &str = "-rss_limit_mb=2048";
/// How long a run may take beyond its time.
const GRACE: Duration = Duration::from_secs(60);

/// One program of `fuzz/`.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) name: String,
    pub(super) program: PathBuf,
    /// Inputs to begin with.
    pub(super) seeds: PathBuf,
    /// Words to put together.
    pub(super) words: PathBuf,
}

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) executions: u64,
    /// What it said last, when it found something.
    found: Option<String>,
}

impl Target {
    /// Runs for so long, adding what it finds to this folder.
    pub(super) fn run(&self, seconds: u64, seed: Option<u32>, corpus: &Path) -> Result<Outcome> {
        fs::create_dir_all(corpus)?;
        let artifacts = corpus.with_extension("crashes");
        fs::create_dir_all(&artifacts)?;
        let log = corpus.with_extension("log");
        let _ = fs::remove_file(&log);
        let mut command = Command::new(&self.program);
        command.args([LONGEST, SLOWEST, LARGEST, "-print_final_stats=1"]);
        command.arg(format!("-max_total_time={seconds}"));
        command.arg(format!("-artifact_prefix={}/", artifacts.display()));
        command.arg(format!("-dict={}", self.words.display()));
        command.args(seed.map(|seed| format!("-seed={seed}")));
        command.arg(corpus).arg(&self.seeds);
        let mut process = Process::spawn(&self.name, &mut command, Some(&log))?;
        let patience = Duration::from_secs(seconds) + GRACE;
        let status = wait::until(&self.name, patience, || process.ended())?;
        let said = fs::read_to_string(&log).map(|said| said.replace('\0', "?"));
        Outcome::read(&said.context("it said nothing")?, status.success())
    }

    /// Runs on one input, with all it has to say.
    pub(super) fn replay(&self, input: &Path) -> Result<ExitCode> {
        let mut process = Process::spawn(&self.name, Command::new(&self.program).arg(input), None)?;
        let sound = process.wait()?.success();
        Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

impl Outcome {
    /// From what libFuzzer says.
    fn read(said: &str, sound: bool) -> Result<Self> {
        let count = said.lines().find_map(|line| {
            line.strip_prefix("stat::number_of_executed_units:")?.trim().parse().ok()
        });
        if sound {
            let executions = count.context("it does not say how much it did")?;
            return Ok(Self { executions, found: None });
        }
        let lines: Vec<_> = said.lines().filter(|line| !line.starts_with('#')).collect();
        let last = lines[lines.len().saturating_sub(40)..].join("\n");
        Ok(Self { executions: count.unwrap_or(0), found: Some(last) })
    }

    pub(super) fn crashes(&self) -> usize {
        usize::from(self.found.is_some())
    }

    /// An error that says what was found.
    pub(super) fn sound(self) -> Result<()> {
        match self.found {
            None => Ok(()),
            Some(found) => bail!("{found}\nagain by `cargo xtask fuzz NAME --input FILE`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_finds_are_read_from_what_libfuzzer_says() {
        let said = "#2\tINITED cov: 5\nDone 77 runs in 5 second(s)\n\
             stat::number_of_executed_units: 77\nstat::average_exec_per_sec:     15\n";
        assert_eq!(Outcome::read(said, true).unwrap(), Outcome { executions: 77, found: None });
        assert!(
            Outcome::read("#2\tINITED", true).is_err(),
            "a run that says nothing shows nothing"
        );
        let said = "#9\tNEW\nthread panicked at x\nTest unit written to y\n";
        let found = Outcome::read(said, false).unwrap();
        assert_eq!(found.crashes(), 1);
        let complaint = found.sound().unwrap_err().to_string();
        assert!(complaint.contains("panicked") && !complaint.contains("#9"), "{complaint}");
    }
}
