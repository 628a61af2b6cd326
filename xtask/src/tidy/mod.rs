//! The rules of the project. Each rule returns its violations.

mod arrows;
mod cycles;
mod dependencies;
mod documents;
mod licences;
mod locks;
mod migrations;
mod modules;
mod names;
mod packages;
mod portability;
mod quarantine;
mod sources;

use std::process::ExitCode;

use anyhow::{Result, ensure};
use testbed::{checks::Checks, programs::Programs, workspace::Workspace};

use crate::{bless, commands::Tidy};

/// Checks the selected rules.
pub(crate) fn run(workspace: &Workspace, asked: &Tidy) -> Result<ExitCode> {
    let mut checks = Checks::default();
    check_only(workspace, &asked.only, &mut checks);
    if !asked.quick && asked.only.is_empty() {
        bless::check(workspace, &Programs::find(workspace, &asked.prebuilt)?, &mut checks);
    }
    Ok(checks.close())
}

/// Checks every rule that needs no built program.
pub(crate) fn check(workspace: &Workspace, checks: &mut Checks) {
    check_only(workspace, &[], checks);
}

/// Returns a text for each violation.
type Rule = fn(&Workspace) -> Result<Vec<String>>;

const RULES: [(&str, Rule); 19] = [
    ("crates depend on `domain` only, and `server` on all", arrows::between_ours),
    ("`domain` has few dependencies", arrows::of_domain),
    ("`server` does not link the engine", quarantine::engine),
    ("dangerous features are off by default", quarantine::danger),
    ("every file starts with its purpose", sources::heads),
    ("no file is longer than 400 lines", sources::lengths),
    ("no file has a name like utils", sources::names),
    ("every crate uses the lints of the workspace", sources::lints),
    ("migrations exist for both databases, up and down", migrations::paired),
    ("paths named in the documentation exist", documents::paths),
    ("links in the documentation lead to files", documents::links),
    ("licences and their texts are complete", licences::present),
    ("fuzz targets and programs have the same locked versions", locks::agree),
    ("no registry except crates.io is named", portability::registries),
    ("no absolute path of a machine is named", portability::paths),
    ("no import cycles between the files of a crate", packages::cyclic),
    ("no type name twice in a crate", packages::repeated),
    ("no forbidden words in names", packages::worded),
    ("no unused dependencies", packages::unused),
];

/// Checks the rules whose names contain one of these texts; all rules without a text.
fn check_only(workspace: &Workspace, only: &[String], checks: &mut Checks) {
    println!("\ntidy");
    let selected = |name: &str| only.is_empty() || only.iter().any(|part| name.contains(&**part));
    let mut check = |name: &str, rule: &dyn Fn() -> Result<Vec<String>>| {
        if selected(name) {
            checks.check(&format!("tidy: {name}"), || {
                let findings = rule()?;
                ensure!(findings.is_empty(), "{}", findings.join("\n"));
                Ok(())
            });
        }
    };
    for (name, rule) in RULES {
        check(name, &|| rule(workspace));
    }
}
