//! Counting what passed and what failed, for the one line that closes a run.

use std::{fmt, process::ExitCode, time::Instant};

use anyhow::Result;

/// How many checks passed and failed.
#[derive(Debug, Default)]
pub struct Checks {
    passed: usize,
    failures: Vec<String>,
    /// Failures that others have told of.
    elsewhere: usize,
}

impl Checks {
    /// Makes one check, tells how it went, and counts it.
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

    /// Counts what another program checked and told.
    pub fn add(&mut self, passed: usize, failed: usize) {
        self.passed += passed;
        self.elsewhere += failed;
    }

    /// Takes over what another tally counted.
    pub fn merge(&mut self, other: Self) {
        self.passed += other.passed;
        self.elsewhere += other.elsewhere;
        self.failures.extend(other.failures);
    }

    /// Something that should have been checked was not.
    pub fn fail(&mut self, name: &str) {
        self.failures.push(name.to_owned());
    }

    /// Whether nothing failed.
    pub fn is_clean(&self) -> bool {
        self.failed() == 0
    }

    /// Names the failures, then the counts on a line of their own.
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
    fn every_failure_counts_wherever_it_was_told() {
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
