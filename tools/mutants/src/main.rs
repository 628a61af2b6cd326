//! Breaks the isolation of organizations, one place at a time, and runs the tests.
//!
//! [`rules`] finds the places in the sources, [`copy`] breaks a copy of the checkout, and [`trial`] runs
//! the tests of the affected crates. A mutant that every test accepts is a gap in the tests.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the results go to the terminal")]

mod copy;
mod options;
mod rules;
mod trial;

use std::{collections::BTreeMap, fs, path::PathBuf, process::ExitCode, time::Instant};

use anyhow::{Context as _, Result, ensure};
use clap::Parser as _;
use rust_tokens::Tokens;
use testbed::{interrupt, postgres::Cluster, workspace::Workspace};

use self::{
    copy::Copy,
    rules::{Change, Kind},
    trial::Verdict,
};
use crate::options::{Mutants, Subject};

/// A change of a file.
struct Mutant {
    file: PathBuf,
    change: Change,
}

/// The mutants of one kind, and those that a test rejected.
#[derive(Default)]
struct Count {
    made: usize,
    killed: usize,
}

fn main() -> ExitCode {
    let asked = Mutants::parse();
    let outcome = interrupt::watch().and_then(|()| run(&Workspace::find()?, &asked));
    outcome.unwrap_or_else(|error| {
        eprintln!("\n{error:#}");
        ExitCode::FAILURE
    })
}

/// Breaks every selected place.
fn run(workspace: &Workspace, asked: &Mutants) -> Result<ExitCode> {
    let Subject::Isolation = asked.what;
    let all = find(workspace)?;
    let wanted = |mutant: &&Mutant| {
        let name = mutant.to_string();
        asked.only.is_empty() || asked.only.iter().any(|part| name.contains(part.as_str()))
    };
    let mutants: Vec<_> = all.iter().filter(wanted).collect();
    println!("{} places, {} selected", all.len(), mutants.len());
    if asked.list {
        for mutant in &mutants {
            println!("  {mutant}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let began = Instant::now();
    let cluster = Cluster::start()?;
    let variables = [("BERTH_TEST_POSTGRES_URL", cluster.url("postgres"))];
    let copy = Copy::of(workspace)?;
    must_pass(&copy, &variables)?;
    let counts = break_each(&copy, &mutants, &variables)?;
    Ok(report(&counts, began))
}

/// Returns every place in the sources.
fn find(workspace: &Workspace) -> Result<Vec<Mutant>> {
    let (mut found, mut strengths) = (Vec::new(), Vec::new());
    let files = sources(workspace)?;
    for file in &files {
        let text = fs::read_to_string(workspace.root.join(file))?;
        strengths.extend(rules::strengths(&text)?);
    }
    for file in files {
        let name = file.display().to_string();
        let text = fs::read_to_string(workspace.root.join(&file))?;
        let changes = rules::changes(&file, &text, &strengths).with_context(|| name)?;
        found.extend(changes.into_iter().map(|change| Mutant { file: file.clone(), change }));
    }
    for (kind, minimum) in Kind::MINIMUM {
        let count = found.iter().filter(|mutant| mutant.change.kind == kind).count();
        ensure!(count >= minimum, "{}: {count} places, fewer than {minimum}", kind.description());
    }
    Ok(found)
}

/// Returns the files of the crates that isolate organizations, without tests and test doubles.
fn sources(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let folders = ["domain", "event-feed", "store-diesel", "http-hyper"]
        .map(|name| format!("crates/{name}/src"));
    let files: Vec<_> = workspace
        .files()?
        .into_iter()
        .filter(|file| file.extension().is_some_and(|extension| extension == "rs"))
        .filter(|file| folders.iter().any(|folder| file.starts_with(folder)))
        .filter(|file| !file.starts_with("crates/domain/src/testing"))
        .collect();
    let mut tests = Vec::new();
    for file in &files {
        let text = fs::read_to_string(workspace.root.join(file))?;
        let folder = match file.file_stem().and_then(|stem| stem.to_str()) {
            Some("mod" | "lib" | "main") => file.with_file_name(""),
            _ => file.with_extension(""),
        };
        let modules = Tokens::test_modules(&text)?.into_iter();
        tests.extend(modules.map(|name| folder.join(name).with_extension("rs")));
    }
    Ok(files.into_iter().filter(|file| !tests.contains(file)).collect())
}

/// Fails when a test fails without a mutant.
fn must_pass(copy: &Copy, variables: &[(&str, String)]) -> Result<()> {
    println!("building and testing the copy without a mutant");
    let verdict = trial::run(&copy.workspace, &trial::ALL, variables)?;
    ensure!(verdict == Verdict::Survived, "a test fails without a mutant: {verdict:?}");
    Ok(())
}

fn break_each(
    copy: &Copy,
    mutants: &[&Mutant],
    variables: &[(&str, String)],
) -> Result<BTreeMap<Kind, Count>> {
    let mut counts: BTreeMap<_, Count> = BTreeMap::new();
    for mutant in mutants {
        let began = Instant::now();
        let broken = copy.broken(&mutant.file, &mutant.change)?;
        let suites = trial::suites(&mutant.file);
        let verdict =
            trial::run(&copy.workspace, suites, variables).with_context(|| format!("{mutant}"))?;
        drop(broken);
        let count = counts.entry(mutant.change.kind).or_default();
        count.made += 1;
        let took = began.elapsed().as_secs();
        match verdict {
            Verdict::Killed(by, test) => {
                count.killed += 1;
                println!("  killed    {mutant} ({took} s)\n            by {by}: {test}");
            }
            Verdict::Survived => println!("  SURVIVED  {mutant} ({took} s)"),
        }
    }
    Ok(counts)
}

/// Prints the counts. A surviving mutant makes the run fail.
fn report(counts: &BTreeMap<Kind, Count>, began: Instant) -> ExitCode {
    println!();
    let (mut made, mut killed) = (0, 0);
    for (kind, count) in counts {
        println!("{:3} made, {:3} killed  {}", count.made, count.killed, kind.description());
        (made, killed) = (made + count.made, killed + count.killed);
    }
    let (survived, took) = (made - killed, began.elapsed().as_secs());
    println!("{made} mutants made, {killed} killed, {survived} survived, in {took} s");
    if survived == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl std::fmt::Display for Mutant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Change { kind, within, line, .. } = &self.change;
        write!(f, "{}:{line} {within}: {}", self.file.display(), kind.description())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rules must follow changes of the sources.
    #[test]
    fn every_place_of_this_checkout_is_found() {
        let workspace = Workspace::find().unwrap();
        let found = find(&workspace).unwrap();
        for mutant in &found {
            let text = fs::read_to_string(workspace.root.join(&mutant.file)).unwrap();
            let mut broken = text.clone();
            broken.replace_range(mutant.change.range.clone(), &mutant.change.text);
            assert_ne!(broken, text, "{mutant}");
            assert!(Tokens::read(&broken).is_ok(), "{mutant}");
        }
        let use_cases = "crates/domain/src/session/service.rs";
        let views = |mutant: &&Mutant| mutant.change.within == "view";
        let view = found.iter().filter(views).find(|mutant| mutant.file.ends_with(use_cases));
        assert_eq!(view.map(|mutant| mutant.change.kind), Some(Kind::Capability));
    }
}
