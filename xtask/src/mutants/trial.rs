//! Whether the tests notice: the crate's own first, then those of the crates that stand on it.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Result, bail};

use crate::{process::Process, wait, workspace::Workspace};

/// How long the tests of one crate may take; a mutant that never ends is noticed too.
const LONGEST: Duration = Duration::from_secs(180);

/// How a trial ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// This crate's test failed.
    Killed(String, String),
    /// Nobody noticed.
    Survived,
}

/// Tests of a crate: those whose name contains this.
pub(super) type Judge = (&'static str, &'static str);

/// Every test of the crates that hold callers apart.
pub(super) const ALL: [Judge; 3] = [("domain", ""), ("store-diesel", ""), ("http-hyper", "")];

/// The tests that are to notice a change to a file, the quickest first: of a store, those that every
/// store must pass.
pub(super) fn judges(file: &Path) -> &'static [Judge] {
    match file.iter().nth(1).and_then(|name| name.to_str()) {
        Some("domain") => &[("domain", ""), ("http-hyper", "")],
        Some("store-diesel") => &[("store-diesel", "contract"), ("store-diesel", "")],
        _ => &[("http-hyper", "")],
    }
}

/// How often tests are run again that failed for no reason that can be repeated.
const TRIES: usize = 3;

/// Builds and runs these tests, until one fails.
///
/// # Errors
/// When it cannot be built: a mutant that does not compile shows nothing.
pub(super) fn hold(
    workspace: &Workspace,
    judges: &[Judge],
    variables: &[(&str, String)],
) -> Result<Verdict> {
    let bench = Bench { workspace, variables, log: workspace.scratch("tests")?.join("log") };
    for &(name, filter) in judges {
        if !bench.start(name, &["--no-run"])?.wait()?.success() {
            bail!("it cannot be built:\n{}", bench.tail());
        }
        if let Some(test) = bench.first_failure(name, filter)? {
            return Ok(Verdict::Killed(name.to_owned(), test));
        }
    }
    Ok(Verdict::Survived)
}

/// Where tests are run.
struct Bench<'a> {
    workspace: &'a Workspace,
    variables: &'a [(&'a str, String)],
    log: PathBuf,
}

impl Bench<'_> {
    /// The first test that fails, and fails again when it is run alone: what fails for want of luck says
    /// nothing of the mutant.
    fn first_failure(&self, package: &str, filter: &str) -> Result<Option<String>> {
        for _ in 0..TRIES {
            let mut tests = self.start(package, &[filter])?;
            let ended = wait::until("the tests end, or one fails", LONGEST, || {
                let fails = !self.failed()?.is_empty();
                Ok(tests.ended()?.map(|status| status.success()).or(fails.then_some(false)))
            });
            // What is still running waits for what the mutant never does.
            drop(tests);
            let failed = self.failed()?;
            match (ended, failed.first()) {
                (Ok(true), _) => return Ok(None),
                (Err(_), _) => return Ok(Some("it never ended".to_owned())),
                (Ok(false), None) => {
                    bail!("no test failed, and still it did not go well:\n{}", self.tail())
                }
                (Ok(false), Some(test)) => {
                    let alone = self.start(package, &["--", "--exact", test])?.wait()?;
                    if !alone.success() {
                        return Ok(Some(test.clone()));
                    }
                    println!("            {test} failed, and alone it does not");
                }
            }
        }
        bail!("the tests of {package} fail now and then")
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

/// The names of the tests that failed.
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
    fn failed_tests_are_read_from_what_cargo_prints() {
        let output = "test a::good ... ok\ntest a::bad ... FAILED\ntest b::worse ... FAILED\n\
             failures:\n    a::bad\ntest result: FAILED. 1 passed; 2 failed";
        assert_eq!(failed(output), ["a::bad", "b::worse"]);
    }

    #[test]
    fn a_crate_is_judged_by_those_that_stand_on_it() {
        assert_eq!(judges(Path::new("crates/domain/src/access.rs"))[0], ("domain", ""));
        let store = judges(Path::new("crates/store-diesel/src/scope.rs"));
        assert_eq!(store[0], ("store-diesel", "contract"));
        assert_eq!(judges(Path::new("crates/http-hyper/src/api/table.rs")), [("http-hyper", "")]);
    }
}
