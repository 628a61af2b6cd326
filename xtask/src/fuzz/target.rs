//! A fuzz target and the output of libFuzzer.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use testbed::{process::Process, wait};

/// Maximum length of an input in bytes.
const MAX_LENGTH: &str = "-max_len=4096";
/// Seconds after which an input counts as a crash.
const MAX_SECONDS: &str = "-timeout=20";
/// Megabytes of memory that count as a crash.
const MAX_MEMORY: &str = "-rss_limit_mb=2048";
/// Time for a run beyond its fuzzing time.
const GRACE: Duration = Duration::from_secs(60);

/// A program of `fuzz/`.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) name: String,
    pub(super) program: PathBuf,
    /// Folder of the first inputs.
    pub(super) seeds: PathBuf,
    /// Dictionary of words.
    pub(super) words: PathBuf,
}

/// The outcome of a run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) executions: u64,
    /// End of the output of a run that found a crash.
    found: Option<String>,
}

impl Target {
    /// Runs for this number of seconds and adds new inputs to the corpus.
    pub(super) fn run(&self, seconds: u64, seed: Option<u32>, corpus: &Path) -> Result<Outcome> {
        fs::create_dir_all(corpus)?;
        let artifacts = corpus.with_extension("crashes");
        fs::create_dir_all(&artifacts)?;
        let log = corpus.with_extension("log");
        let _ = fs::remove_file(&log);
        let mut command = Command::new(&self.program);
        command.args([MAX_LENGTH, MAX_SECONDS, MAX_MEMORY, "-print_final_stats=1"]);
        command.arg(format!("-max_total_time={seconds}"));
        command.arg(format!("-artifact_prefix={}/", artifacts.display()));
        command.arg(format!("-dict={}", self.words.display()));
        command.args(seed.map(|seed| format!("-seed={seed}")));
        command.arg(corpus).arg(&self.seeds);
        let mut process = Process::spawn(&self.name, &mut command, Some(&log))?;
        let patience = Duration::from_secs(seconds) + GRACE;
        let status = wait::until(&self.name, patience, || process.ended())?;
        let output = fs::read_to_string(&log).map(|output| output.replace('\0', "?"));
        Outcome::read(&output.context("no output of libFuzzer")?, status.success())
    }

    /// Runs one input with inherited outputs.
    pub(super) fn replay(&self, input: &Path) -> Result<ExitCode> {
        let mut process = Process::spawn(&self.name, Command::new(&self.program).arg(input), None)?;
        let sound = process.wait()?.success();
        Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

impl Outcome {
    /// Reads the output of libFuzzer.
    fn read(output: &str, sound: bool) -> Result<Self> {
        let count = output.lines().find_map(|line| {
            line.strip_prefix("stat::number_of_executed_units:")?.trim().parse().ok()
        });
        if sound {
            let executions = count.context("libFuzzer reports no number of executions")?;
            return Ok(Self { executions, found: None });
        }
        let lines: Vec<_> = output.lines().filter(|line| !line.starts_with('#')).collect();
        let last = lines[lines.len().saturating_sub(40)..].join("\n");
        Ok(Self { executions: count.unwrap_or(0), found: Some(last) })
    }

    pub(super) fn crashes(&self) -> usize {
        usize::from(self.found.is_some())
    }

    /// Returns an error with the finding of a run that crashed.
    pub(super) fn sound(self) -> Result<()> {
        match self.found {
            None => Ok(()),
            Some(found) => bail!("{found}\nreproduce with `cargo xtask fuzz NAME --input FILE`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_findings_are_read_from_the_output() {
        let output = "#2\tINITED cov: 5\nDone 77 runs in 5 second(s)\n\
             stat::number_of_executed_units: 77\nstat::average_exec_per_sec:     15\n";
        assert_eq!(Outcome::read(output, true).unwrap(), Outcome { executions: 77, found: None });
        assert!(Outcome::read("#2\tINITED", true).is_err(), "a run without a count is an error");
        let output = "#9\tNEW\nthread panicked at x\nTest unit written to y\n";
        let found = Outcome::read(output, false).unwrap();
        assert_eq!(found.crashes(), 1);
        let complaint = found.sound().unwrap_err().to_string();
        assert!(complaint.contains("panicked") && !complaint.contains("#9"), "{complaint}");
    }
}
