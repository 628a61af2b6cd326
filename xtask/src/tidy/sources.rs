//! Rules for every source file.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;
use testbed::workspace::Workspace;

const MAX_LINES: usize = 400;
/// Names without a meaning.
const VAGUE: [&str; 6] = ["common", "helper", "helpers", "manager", "misc", "utils"];

/// Returns files without a `//!` sentence in the first line.
pub(super) fn heads(workspace: &Workspace) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for (path, text) in sources(workspace)? {
        let words = text.lines().next().and_then(|line| line.strip_prefix("//! "));
        if words.is_none_or(|words| words.split_whitespace().count() < 3) {
            findings.push(format!("{} does not start with `//!` and a sentence", path.display()));
        }
    }
    Ok(findings)
}

/// Returns files that are too long. Prints the median and the longest.
pub(super) fn lengths(workspace: &Workspace) -> Result<Vec<String>> {
    let mut lengths: Vec<_> =
        sources(workspace)?.into_iter().map(|(path, text)| (text.lines().count(), path)).collect();
    lengths.sort();
    if let (Some(median), Some(longest)) = (lengths.get(lengths.len() / 2), lengths.last()) {
        let lines: usize = lengths.iter().map(|(length, _)| length).sum();
        println!(
            "          {} files, {lines} lines; median {}, longest {} ({})",
            lengths.len(),
            median.0,
            longest.0,
            longest.1.display()
        );
    }
    let long = lengths.iter().filter(|(length, _)| *length > MAX_LINES);
    Ok(long.map(|(length, path)| format!("{} has {length} lines", path.display())).collect())
}

/// Returns files and folders with a name without a meaning.
pub(super) fn names(workspace: &Workspace) -> Result<Vec<String>> {
    let vague = |path: &PathBuf| {
        path.with_extension("").iter().any(|part| VAGUE.iter().any(|vague| part == *vague))
    };
    let files = rust_files(workspace)?.into_iter().filter(vague);
    Ok(files.map(|path| format!("{} has a name without a meaning", path.display())).collect())
}

/// Returns crates that define lints of their own.
pub(super) fn lints(workspace: &Workspace) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for package in &workspace.packages {
        let manifest = Path::new(package["manifest_path"].as_str().unwrap_or_default());
        let text = fs::read_to_string(manifest)?;
        if !text.contains("[lints]\nworkspace = true") {
            findings
                .push(format!("{} does not use the lints of the workspace", manifest.display()));
        }
    }
    Ok(findings)
}

fn sources(workspace: &Workspace) -> Result<Vec<(PathBuf, String)>> {
    let read = |path: PathBuf| Ok((path.clone(), fs::read_to_string(workspace.root.join(path))?));
    rust_files(workspace)?.into_iter().map(read).collect()
}

fn rust_files(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let is_rust = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "rs");
    Ok(workspace.files()?.into_iter().filter(is_rust).collect())
}
