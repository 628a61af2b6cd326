//! Fuzzing on stable Rust without `cargo fuzz`: builds the targets of `fuzz/` with the same flags
//! and runs libFuzzer.

mod target;

use std::{
    collections::VecDeque,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Mutex, PoisonError},
    thread,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use testbed::{
    checks::Checks,
    folder::Folder,
    process::Process,
    workspace::{self, Workspace},
};

use self::target::{Outcome, Target};
use crate::commands::Fuzz;

/// Seconds for each target in `cargo xtask test`.
const CHECK_SECONDS: u64 = 5;
/// The compiler flags of `cargo fuzz` without the sanitizers, which need nightly Rust.
const FLAGS: [&str; 9] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-sanitizer-coverage-stack-depth",
    "-Ccodegen-units=1",
    "--cfg",
    "fuzzing",
];

/// Runs the selected targets for the selected time.
pub(crate) fn run(workspace: &Workspace, asked: &Fuzz) -> Result<ExitCode> {
    let mut targets = targets(workspace)?;
    for name in &asked.names {
        ensure!(targets.iter().any(|target| target.name == *name), "there is no target {name}");
    }
    targets.retain(|target| asked.names.is_empty() || asked.names.contains(&target.name));
    build(workspace)?;
    if let Some(input) = &asked.input {
        let [target] = targets.as_slice() else { bail!("an input is for one target") };
        return target.replay(input);
    }
    // The corpus stays, so that the next run continues.
    let corpus = workspace.scratch("fuzz")?.join("corpus");
    let mut checks = Checks::default();
    report(&mut checks, fuzz(targets, asked.seconds, None, &corpus));
    Ok(checks.close())
}

/// Runs every target for a few seconds from the seeds, always with the same sequence of inputs.
pub(crate) fn check(workspace: &Workspace, checks: &mut Checks) {
    println!("\nfuzzing, {CHECK_SECONDS} s each");
    let outcomes = targets(workspace).and_then(|targets| {
        build(workspace)?;
        let corpus = Folder::new("corpus")?;
        Ok(fuzz(targets, CHECK_SECONDS, Some(1), corpus.path()))
    });
    match outcomes {
        Ok(outcomes) => report(checks, outcomes),
        Err(error) => {
            println!("{error:#}");
            checks.fail("fuzzing");
        }
    }
}

/// Locks the fuzz targets to the versions of the programs.
pub(crate) fn lock(workspace: &Workspace) -> Result<()> {
    let lock = "fuzz/Cargo.lock";
    fs::copy(workspace.root.join("Cargo.lock"), workspace.root.join(lock))?;
    let mut cargo = workspace.cargo();
    cargo.args(["metadata", "--format-version", "1"]);
    workspace::answer(cargo.arg("--manifest-path").arg(manifest(workspace)))?;
    println!("wrote {lock}");
    Ok(())
}

/// Returns the targets from the metadata of cargo.
fn targets(workspace: &Workspace) -> Result<Vec<Target>> {
    let mut cargo = workspace.cargo();
    cargo.args(["metadata", "--no-deps", "--locked", "--format-version", "1"]);
    cargo.arg("--manifest-path").arg(manifest(workspace));
    let metadata: Value = serde_json::from_str(&workspace::answer(&mut cargo)?)?;
    let built = metadata["packages"][0]["targets"].as_array().cloned().unwrap_or_default();
    let built = built.iter().filter(|target| target["kind"][0] == "bin");
    let programs = workspace.target.join(triple(workspace)?).join("release");
    let fuzz = workspace.root.join("fuzz");
    let targets: Vec<_> = built
        .filter_map(|target| target["name"].as_str())
        .map(|name| Target {
            name: name.to_owned(),
            program: programs.join(name),
            seeds: fuzz.join("seeds").join(name),
            words: fuzz.join("words.dict"),
        })
        .collect();
    ensure!(!targets.is_empty(), "no fuzz targets");
    Ok(targets)
}

/// Builds all targets, with `--target` so that build scripts have no coverage counters.
fn build(workspace: &Workspace) -> Result<()> {
    println!("building the fuzz targets");
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--release", "--bins", "--locked", "--target", &triple(workspace)?]);
    cargo.arg("--manifest-path").arg(manifest(workspace));
    cargo.env("RUSTFLAGS", FLAGS.join(" ")).env("CARGO_TARGET_DIR", &workspace.target);
    cargo.env_remove("CARGO_ENCODED_RUSTFLAGS");
    let status = Process::spawn("cargo", &mut cargo, None)?.wait()?;
    ensure!(status.success(), "the fuzz targets cannot be built");
    Ok(())
}

fn manifest(workspace: &Workspace) -> PathBuf {
    workspace.root.join("fuzz/Cargo.toml")
}

/// Returns the target triple of the host.
fn triple(workspace: &Workspace) -> Result<String> {
    let mut cargo = workspace.cargo();
    let version = workspace::answer(cargo.args(["--version", "--verbose"]))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("cargo reports no host")
}

/// Runs one target for each processor at the same time.
fn fuzz(
    targets: Vec<Target>,
    seconds: u64,
    seed: Option<u32>,
    corpus: &Path,
) -> Vec<(String, Result<Outcome>)> {
    let queue = Mutex::new(VecDeque::from(targets));
    let outcomes = Mutex::new(Vec::new());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(target) = next() {
                    let outcome = target.run(seconds, seed, &corpus.join(&target.name));
                    let mut outcomes = outcomes.lock().unwrap_or_else(PoisonError::into_inner);
                    outcomes.push((target.name, outcome));
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcomes.sort_by(|(one, _), (other, _)| one.cmp(other));
    outcomes
}

fn report(checks: &mut Checks, outcomes: Vec<(String, Result<Outcome>)>) {
    let mut total = 0;
    for (name, outcome) in outcomes {
        total += outcome.as_ref().map_or(0, |outcome| outcome.executions);
        let told = match &outcome {
            Ok(outcome) => {
                format!("{name}: {} executions, {} crashes", outcome.executions, outcome.crashes())
            }
            Err(_) => name,
        };
        checks.check(&told, || outcome?.sound());
    }
    println!("          {total} executions in total");
}
