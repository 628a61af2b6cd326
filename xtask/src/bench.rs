//! Builds everything that `bench` needs for release, and runs the measurements.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::Result;
use testbed::{
    interrupt,
    process::Process,
    programs::{self, Programs},
    workspace::Workspace,
};

/// The program that measures.
const BENCH: &str = "bench";

/// Runs `bench` with these arguments. Without `--programs` everything is built, and the figures go
/// to `docs/benchmarks.md`.
pub(crate) fn run(workspace: &Workspace, arguments: &[OsString]) -> Result<ExitCode> {
    let given = programs_in(arguments);
    let (program, built) = if given.is_none() && !asks_for_help(arguments) {
        let programs = Programs::for_release(workspace, BENCH)?;
        (programs.program(BENCH), Some(programs.folder().to_owned()))
    } else {
        (given.and_then(|folder| prebuilt(&folder)).map_or_else(|| build(workspace), Ok)?, None)
    };
    let mut bench = Command::new(program);
    bench.current_dir(&workspace.root).args(arguments);
    if let Some(folder) = built {
        bench.arg("--built").arg(folder);
    }
    interrupt::pass_on(); // the program cleans up before it ends
    let status = Process::spawn(BENCH, &mut bench, None)?.wait()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// `bench` beside the other programs.
fn prebuilt(folder: &Path) -> Option<PathBuf> {
    fs::canonicalize(folder.join(BENCH)).ok()
}

fn build(workspace: &Workspace) -> Result<PathBuf> {
    programs::cargo(workspace, &["build", "--quiet", "--release", "--package", BENCH])?;
    Ok(workspace.target.join("release").join(BENCH))
}

/// The value of `--programs`.
fn programs_in(arguments: &[OsString]) -> Option<PathBuf> {
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        if word == "--programs" {
            return rest.next().map(PathBuf::from);
        }
        if let Some(folder) = word.to_str().and_then(|word| word.strip_prefix("--programs=")) {
            return Some(folder.into());
        }
    }
    None
}

fn asks_for_help(arguments: &[OsString]) -> bool {
    arguments.iter().any(|word| word == "--help" || word == "-h")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prebuilt_programs_are_found_in_either_form() {
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        let folder = Some(PathBuf::from("bin"));
        assert_eq!(programs_in(&words("get --programs bin --dry")), folder);
        assert_eq!(programs_in(&words("--programs=bin")), folder);
        assert_eq!(programs_in(&words("get --dry")), None);
    }
}
