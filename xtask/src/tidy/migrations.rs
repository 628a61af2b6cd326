//! Migrations: the same steps for both databases, each with up and down.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context as _, Result};
use testbed::workspace::Workspace;

const DATABASES: [&str; 2] = ["postgres", "sqlite"];

/// Returns steps that one database lacks, that lack a direction, or that are out of order.
pub(super) fn paired(workspace: &Workspace) -> Result<Vec<String>> {
    let folder = workspace.root.join("migrations");
    let mut findings = Vec::new();
    let [postgres, sqlite] = DATABASES.map(|database| steps(&folder.join(database)));
    let (postgres, sqlite) = (postgres?, sqlite?);
    for step in postgres.symmetric_difference(&sqlite) {
        findings.push(format!("{step} exists for one database only"));
    }
    for (number, step) in postgres.iter().enumerate() {
        if !step.starts_with(&format!("{:04}_", number + 1)) {
            findings.push(format!("{step} is not step number {}", number + 1));
        }
    }
    for (database, steps) in DATABASES.iter().zip([&postgres, &sqlite]) {
        for step in steps {
            for direction in ["up.sql", "down.sql"] {
                let file = folder.join(database).join(step).join(direction);
                if !fs::read_to_string(&file).is_ok_and(|sql| !sql.trim().is_empty()) {
                    findings.push(format!("migrations/{database}/{step}/{direction} is empty"));
                }
            }
        }
    }
    Ok(findings)
}

fn steps(folder: &Path) -> Result<BTreeSet<String>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}
