//! Runs the tests against a mutant: those of the crate first, then those of the crates that use it.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Result, bail};
use testbed::{process::Process, wait, workspace::Workspace};

/// Upper bound of the tests of one crate. A mutant that makes a test hang counts as rejected.
const LIMIT: Duration = Duration::from_secs(600);

/// The outcome of the tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A test failed: crate and test.
    Killed(String, String),
    /// Every test passed.
    Survived,
}

/// A crate and a text in the names of the tests.
pub(crate) type TestSuite = (&'static str, &'static str);

/// Every test of the crates that isolate organizations.
pub(crate) const ALL: [TestSuite; 4] =
    [("domain", ""), ("event-feed", ""), ("store-diesel", ""), ("http-hyper", "")];

/// Returns the tests for a change of a file, the fastest first: for the store, the contract of all
/// stores.
pub(crate) fn suites(file: &Path) -> &'static [TestSuite] {
    match file.iter().nth(1).and_then(|name| name.to_str()) {
        Some("domain") => &[("domain", ""), ("event-feed", ""), ("http-hyper", "")],
        Some("event-feed") => &[("event-feed", ""), ("http-hyper", "")],
        Some("store-diesel") => &[("store-diesel", "contract"), ("store-diesel", "")],
        _ => &[("http-hyper", "")],
    }
}

/// Attempts after a failure that does not repeat.
const TRIES: usize = 3;

/// Builds and runs these tests until one fails.
///
/// # Errors
/// When the crate does not compile: such a mutant proves nothing.
pub(crate) fn run(
    workspace: &Workspace,
    suites: &[TestSuite],
    variables: &[(&str, String)],
) -> Result<Verdict> {
    let runner = Runner { workspace, variables, log: workspace.scratch("tests")?.join("log") };
    for &(name, filter) in suites {
        if !runner.start(name, &["--no-run"])?.wait()?.success() {
            bail!("the build fails:\n{}", runner.tail());
        }
        if let Some(test) = runner.first_failure(name, filter)? {
            return Ok(Verdict::Killed(name.to_owned(), test));
        }
    }
    Ok(Verdict::Survived)
}

/// The workspace and the environment of the tests.
struct Runner<'a> {
    workspace: &'a Workspace,
    variables: &'a [(&'a str, String)],
    log: PathBuf,
}

impl Runner<'_> {
    /// Returns the first test that fails and fails again when run alone. A flaky test proves nothing.
    fn first_failure(&self, package: &str, filter: &str) -> Result<Option<String>> {
        for _ in 0..TRIES {
            let mut tests = self.start(package, &[filter])?;
            let ended = wait::until("the tests end, or one fails", LIMIT, || {
                let fails = !self.failed()?.is_empty();
                Ok(tests.ended()?.map(|status| status.success()).or(fails.then_some(false)))
            });
            // A running test may wait for what the mutant never does.
            drop(tests);
            let failed = self.failed()?;
            match (ended, failed.first()) {
                (Ok(true), _) => return Ok(None),
                (Err(_), _) => return Ok(Some("a test that does not end".to_owned())),
                (Ok(false), None) => {
                    bail!("no test failed, and cargo did:\n{}", self.tail())
                }
                (Ok(false), Some(test)) => {
                    let alone = self.start(package, &["--", "--exact", test])?.wait()?;
                    if !alone.success() {
                        return Ok(Some(test.clone()));
                    }
                    println!("            {test} failed, and passes when run alone");
                }
            }
        }
        bail!("the tests of {package} are flaky")
    }

    fn start(&self, package: &str, more: &[&str]) -> Result<Process> {
        let _ = fs::remove_file(&self.log);
        let mut cargo = self.workspace.cargo();
        cargo.args(["test", "--package", package, "--lib", "--tests"]).args(more);
        cargo.env("CARGO_TARGET_DIR", &self.workspace.target);
        cargo.envs(self.variables.iter().map(|(name, value)| (name, value)));
        Process::spawn("cargo", &mut cargo, Some(&self.log))
    }

    fn failed(&self) -> Result<Vec<String>> {
        Ok(failed(&fs::read_to_string(&self.log)?))
    }

    fn tail(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        lines[lines.len().saturating_sub(25)..].join("\n")
    }
}

/// Returns the names of failed tests in the output of cargo.
fn failed(output: &str) -> Vec<String> {
    let names = output.lines().filter_map(|line| {
        let name = line.strip_prefix("test ")?.strip_suffix(" ... FAILED")?;
        Some(name.to_owned())
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_tests_are_read_from_the_output() {
        let output = "test a::good ... ok\ntest a::bad ... FAILED\ntest b::worse ... FAILED\n\
             failures:\n    a::bad\ntest result: FAILED. 1 passed; 2 failed";
        assert_eq!(failed(output), ["a::bad", "b::worse"]);
    }

    #[test]
    fn file_is_tested_by_its_crate_and_the_crates_that_use_it() {
        assert_eq!(suites(Path::new("crates/domain/src/access.rs"))[0], ("domain", ""));
        let store = suites(Path::new("crates/store-diesel/src/scope.rs"));
        assert_eq!(store[0], ("store-diesel", "contract"));
        assert_eq!(suites(Path::new("crates/http-hyper/src/api.rs")), [("http-hyper", "")]);
    }
}
