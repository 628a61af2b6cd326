//! The fuzz targets, a workspace of their own, use the same versions of crates as the programs.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use testbed::workspace::Workspace;

/// Returns crates that the fuzz targets lock to another version.
pub(super) fn agree(workspace: &Workspace) -> Result<Vec<String>> {
    let read = |path: &str| locked(&workspace.root.join(path));
    let (programs, targets) = (read("Cargo.lock")?, read("fuzz/Cargo.lock")?);
    ensure!(targets.iter().any(|(name, _)| name == "libfuzzer-sys"), "not a fuzz workspace");
    let names: BTreeSet<_> = programs.iter().map(|(name, _)| name).collect();
    let different = targets.difference(&programs).filter(|(name, _)| names.contains(name));
    Ok(different
        .map(|(name, version)| format!("{name} {version}: `cargo xtask bless` locks them alike"))
        .collect())
}

/// Returns names and versions in a lock file.
fn locked(path: &Path) -> Result<BTreeSet<(String, String)>> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let value = |package: &str, key: &str| {
        let mut lines = package.lines();
        lines.find_map(|line| Some(line.strip_prefix(key)?.trim_matches('"').to_owned()))
    };
    let packages = text.split("[[package]]").skip(1);
    Ok(packages.filter_map(|p| Some((value(p, "name = ")?, value(p, "version = ")?))).collect())
}
