//! The house rules, each a check that says what is wrong where.

mod arrows;
mod documents;
mod licences;
mod locks;
mod machine;
mod migrations;
mod quarantine;
mod sources;

use std::process::ExitCode;

use anyhow::{Result, ensure};

use crate::{bless, commands::Tidy, programs::Programs, tally::Tally, workspace::Workspace};

/// The rules, as they were asked for.
pub(crate) fn run(workspace: &Workspace, asked: &Tidy) -> Result<ExitCode> {
    let mut tally = Tally::default();
    check(workspace, &mut tally);
    if !asked.quick {
        bless::check(workspace, &Programs::find(workspace, &asked.prebuilt)?, &mut tally);
    }
    Ok(tally.close())
}

/// What a rule finds wrong.
type Rule = fn(&Workspace) -> Result<Vec<String>>;

/// Every rule that needs nothing built.
pub(crate) fn check(workspace: &Workspace, tally: &mut Tally) {
    println!("\ntidy");
    let rules: [(&str, Rule); 15] = [
        ("every crate depends on `domain` at most, `server` on all", arrows::between_ours),
        ("`domain` stays small", arrows::diet),
        ("the engine is never behind `server`", quarantine::engine),
        ("no danger feature is on by default", quarantine::danger),
        ("every file says what it is for", sources::heads),
        ("no file is longer than 400 lines", sources::lengths),
        ("no file is called utils", sources::names),
        ("every crate takes the workspace's lints", sources::lints),
        ("migrations come in pairs, forth and back", migrations::paired),
        ("paths named in the documentation exist", documents::paths),
        ("links in the documentation lead somewhere", documents::links),
        ("licences are stated and their texts are there", licences::present),
        ("the fuzz targets are locked to what the programs are", locks::agree),
        ("no registry but the public one is named", machine::registries),
        ("no path of somebody's machine is named", machine::paths),
    ];
    for (name, rule) in rules {
        tally.check(&format!("tidy: {name}"), || {
            let findings = rule(workspace)?;
            ensure!(findings.is_empty(), "{}", findings.join("\n"));
            Ok(())
        });
    }
}
