//! The tests of the crates: runs cargo and reads the counts from its output.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    io::{BufRead as _, BufReader, Read},
    process::Stdio,
    sync::mpsc,
    thread,
};

use anyhow::{Context as _, Result};
use testbed::{checks::Checks, process::Process, programs, workspace::Workspace};

use crate::tool::Tool;

/// The program that runs the tests; defines the form of the counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Runner {
    Nextest,
    Cargo,
    /// A program of `tools/`; its last line has the counts.
    Tool,
}

/// Counts of passed and failed tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: usize,
    failed: usize,
}

/// Runs every test except those in the documentation, with nextest where it is installed.
pub(crate) fn run(workspace: &Workspace, variables: &[(&str, String)], checks: &mut Checks) {
    // The acceptance tests are a part of their own.
    let features = ["--workspace", "--exclude", "acceptance", "--features", programs::SIM];
    let (runner, command) = if has_nextest(workspace) {
        println!("\ntests (nextest)");
        (Runner::Nextest, vec!["nextest", "run"])
    } else {
        println!("\ntests (cargo test: nextest is not installed)");
        (Runner::Cargo, vec!["test", "--lib", "--bins", "--tests"])
    };
    let arguments = [&command[..], &features, &["--no-fail-fast"]].concat();
    count(workspace, runner, &arguments, variables, checks);
}

/// Runs tests by `cargo test` with these arguments and counts them.
pub(crate) fn run_tests(
    workspace: &Workspace,
    arguments: &[&str],
    variables: &[(&str, String)],
    checks: &mut Checks,
) {
    count(workspace, Runner::Cargo, arguments, variables, checks);
}

/// Runs the examples in the documentation, of the packages that have examples that compile: cargo
/// would build every other package again to find none.
pub(crate) fn run_examples(workspace: &Workspace, checks: &mut Checks) {
    println!("\nexamples in the documentation");
    let mut arguments = vec!["test", "--doc", "--no-fail-fast"];
    let packages = match packages_with_examples(workspace) {
        Ok(packages) => packages,
        Err(error) => return checks.fail(&format!("{error:#}")),
    };
    for package in &packages {
        arguments.extend(["--package", package]);
    }
    count(workspace, Runner::Cargo, &arguments, &[], checks);
}

fn packages_with_examples(workspace: &Workspace) -> Result<Vec<String>> {
    let mut found = BTreeSet::new();
    for file in workspace.files()? {
        let mut parts = file.components().map(|part| part.as_os_str().to_string_lossy());
        let (Some(folder), Some(package)) = (parts.next(), parts.next()) else { continue };
        if folder == "crates"
            && file.extension().is_some_and(|end| end == "rs")
            && has_example(&fs::read_to_string(workspace.root.join(&file))?)
        {
            found.insert(package.into_owned());
        }
    }
    Ok(found.into_iter().collect())
}

/// Whether the doc comments of a source have a code block that rustdoc compiles.
fn has_example(source: &str) -> bool {
    let fence = |line: &'_ str| {
        let text = line.trim_start();
        let text = text.strip_prefix("///").or_else(|| text.strip_prefix("//!"))?;
        text.trim().strip_prefix("```").map(str::to_owned)
    };
    // Every second fence ends a block.
    let mut languages = source.lines().filter_map(fence).step_by(2);
    languages.any(|language| ["", "no_run", "compile_fail"].contains(&&*language))
}

/// Runs a program of `tools/` with these arguments and counts its checks.
pub(crate) fn run_tool(
    workspace: &Workspace,
    tool: Tool,
    arguments: &[OsString],
    checks: &mut Checks,
) {
    let arguments: Vec<_> = arguments.iter().map(|word| word.to_string_lossy()).collect();
    let arguments = arguments.iter().map(|word| &**word);
    let command: Vec<_> =
        tool.cargo_arguments().into_iter().chain(["--"]).chain(arguments).collect();
    count(workspace, Runner::Tool, &command, &[], checks);
}

fn has_nextest(workspace: &Workspace) -> bool {
    let mut nextest = workspace.cargo();
    nextest.args(["nextest", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    nextest.status().is_ok_and(|status| status.success())
}

fn count(
    workspace: &Workspace,
    runner: Runner,
    arguments: &[&str],
    variables: &[(&str, String)],
    checks: &mut Checks,
) {
    let outcome = run_and_count(workspace, runner, arguments, variables);
    match outcome {
        Ok((counts, succeeded)) => {
            checks.add(counts.passed, counts.failed);
            if !succeeded && counts.failed == 0 {
                checks.fail(&format!("`cargo {}`", arguments.join(" ")));
            }
        }
        Err(error) => {
            println!("{error:#}");
            checks.fail(&format!("`cargo {}`", arguments.join(" ")));
        }
    }
}

/// Runs cargo, prints its output and reads the counts.
fn run_and_count(
    workspace: &Workspace,
    runner: Runner,
    arguments: &[&str],
    variables: &[(&str, String)],
) -> Result<(Counts, bool)> {
    let mut command = workspace.cargo();
    command.args(arguments).envs(variables.iter().map(|(name, value)| (name, value)));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    // cargo does not forward signals, and tests that start programs must end them.
    let mut cargo = Process::spawn("cargo", &mut command, None)?.signalled_as_group();
    let (out, err) = cargo.outputs().context("the outputs of cargo are piped")?;
    let (sender, lines) = mpsc::channel();
    let readers = [
        thread::spawn({
            let sender = sender.clone();
            move || send_lines(out, &sender)
        }),
        thread::spawn(move || send_lines(err, &sender)),
    ];
    let mut counts = Counts::default();
    for line in lines {
        println!("{line}");
        counts.read(runner, &line);
    }
    for reader in readers {
        let _ = reader.join();
    }
    Ok((counts, cargo.wait()?.success()))
}

fn send_lines(output: impl Read, lines: &mpsc::Sender<String>) {
    for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
        let _ = lines.send(String::from_utf8_lossy(&line).into_owned());
    }
}

impl Counts {
    fn read(&mut self, runner: Runner, line: &str) {
        if runner == Runner::Tool {
            return self.read_tool(line);
        }
        let summary = match runner {
            Runner::Nextest => line.trim_start().strip_prefix("Summary ["),
            Runner::Cargo => line.trim_start().strip_prefix("test result: "),
            Runner::Tool => None,
        };
        let Some(summary) = summary else { return };
        let words: Vec<_> = summary.split([' ', ',', ';', '.']).filter(|w| !w.is_empty()).collect();
        for pair in words.windows(2) {
            let Ok(count) = pair[0].parse::<usize>() else { continue };
            match pair[1] {
                "passed" => self.passed += count,
                "failed" | "timed" | "exec" => self.failed += count,
                _ => {}
            }
        }
    }
}

impl Counts {
    /// Reads `12 passed, 1 failed`, possibly after other words.
    fn read_tool(&mut self, line: &str) {
        let words: Vec<_> = line.split([' ', ',']).filter(|word| !word.is_empty()).collect();
        if let [.., passed, "passed", failed, "failed"] = words[..]
            && let (Ok(passed), Ok(failed)) = (passed.parse(), failed.parse())
        {
            *self = Self { passed, failed };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compiled_code_blocks_of_doc_comments_are_examples() {
        let json = "/// ```json\n/// {}\n/// ```\nfn f() {}\n";
        assert!(!has_example(json));
        assert!(!has_example("// ```\nlet text = \"```\";"));
        assert!(has_example(&format!("{json}    //! ```\n    //! f();\n    //! ```")));
        assert!(has_example("/// ```no_run\n/// f();\n/// ```"));
    }

    fn counted(runner: Runner, lines: &[&str]) -> (usize, usize) {
        let mut counts = Counts::default();
        for line in lines {
            counts.read(runner, line);
        }
        (counts.passed, counts.failed)
    }

    #[test]
    fn nextest_counts_are_read_from_the_summary() {
        for (line, counts) in [
            ("     Summary [   0.102s] 12 tests run: 12 passed, 0 skipped", (12, 0)),
            (
                "     Summary [  61.5s] 9 tests run: 5 passed (1 slow, 2 leaky), 3 failed, 1 timed out, 7 skipped",
                (5, 4),
            ),
            ("     Summary [   1.000s] 4/9 tests run: 3 passed, 1 exec failed, 0 skipped", (3, 1)),
            ("        PASS [   0.102s] auth::auth 12 passed", (0, 0)),
        ] {
            assert_eq!(counted(Runner::Nextest, &[line]), counts, "{line}");
        }
    }

    #[test]
    fn last_line_of_a_tool_has_the_counts() {
        let lines =
            ["  ok      a (1.0 s)", "soak x: 7 of 9; 3 passed, 0 failed", "5 passed, 1 failed"];
        assert_eq!(counted(Runner::Tool, &lines), (5, 1));
    }

    #[test]
    fn cargo_counts_of_all_binaries_are_added() {
        let lines = [
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "test tests::passed ... ok",
        ];
        assert_eq!(counted(Runner::Cargo, &lines), (4, 2));
    }
}
