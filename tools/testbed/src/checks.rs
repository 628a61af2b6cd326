//! Counts of passed and failed checks, printed as the last line of a run.

use std::{fmt, process::ExitCode, time::Instant};

use anyhow::Result;

/// Counts of checks, with the names of the failed ones.
#[derive(Debug, Default)]
pub struct Checks {
    passed: usize,
    failures: Vec<String>,
    /// Failures that another program has printed.
    elsewhere: usize,
}

impl Checks {
    /// Runs a check, prints the outcome and counts it.
    pub fn check(&mut self, name: &str, check: impl FnOnce() -> Result<()>) -> bool {
        let began = Instant::now();
        let outcome = check();
        let took = began.elapsed().as_secs_f32();
        match &outcome {
            Ok(()) => {
                println!("  ok      {name} ({took:.1} s)");
                self.passed += 1;
            }
            Err(error) => {
                println!("  FAILED  {name} ({took:.1} s)\n          {}", indented(error));
                self.failures.push(name.to_owned());
            }
        }
        outcome.is_ok()
    }

    /// Adds the counts of another program.
    pub fn add(&mut self, passed: usize, failed: usize) {
        self.passed += passed;
        self.elsewhere += failed;
    }

    /// Adds the counts and failures of other checks.
    pub fn merge(&mut self, other: Self) {
        self.passed += other.passed;
        self.elsewhere += other.elsewhere;
        self.failures.extend(other.failures);
    }

    /// Records a failure of something that could not be checked.
    pub fn fail(&mut self, name: &str) {
        self.failures.push(name.to_owned());
    }

    /// Returns whether no check failed.
    pub fn is_clean(&self) -> bool {
        self.failed() == 0
    }

    /// Prints the failures, and the counts as the last line.
    pub fn close(&self) -> ExitCode {
        self.close_as("")
    }

    /// As [`close`](Self::close), with these words before the counts.
    pub fn close_as(&self, words: &str) -> ExitCode {
        println!();
        for name in &self.failures {
            println!("FAILED {name}");
        }
        println!("{words}{self}");
        if self.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn failed(&self) -> usize {
        self.failures.len() + self.elsewhere
    }
}

impl fmt::Display for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed())
    }
}

fn indented(error: &anyhow::Error) -> String {
    format!("{error:#}").replace('\n', "\n          ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_and_added_failures_are_counted() {
        let mut checks = Checks::default();
        checks.check("good", || Ok(()));
        checks.check("bad", || anyhow::bail!("no"));
        checks.add(10, 2);
        checks.fail("never ran");
        assert_eq!(checks.to_string(), "11 passed, 4 failed");
        let mut both = Checks::default();
        both.check("more", || Ok(()));
        both.merge(checks);
        assert_eq!(both.to_string(), "12 passed, 4 failed");
        let checks = both;
        assert!(!checks.is_clean());
    }
}
