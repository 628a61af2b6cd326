//! What every source file owes its reader.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;
use testbed::workspace::Workspace;

const LONGEST: usize = 400;
/// Names that say nothing.
const VAGUE: [&str; 6] = ["common", "helper", "helpers", "manager", "misc", "utils"];

/// Files that do not open with what they are for.
pub(super) fn heads(workspace: &Workspace) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for (path, text) in sources(workspace)? {
        let words = text.lines().next().and_then(|line| line.strip_prefix("//! "));
        if words.is_none_or(|words| words.split_whitespace().count() < 3) {
            findings.push(format!("{} does not open with `//!` and a sentence", path.display()));
        }
    }
    Ok(findings)
}

/// Files that hold more than one thing. Tells the median and the longest.
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
    let long = lengths.iter().filter(|(length, _)| *length > LONGEST);
    Ok(long.map(|(length, path)| format!("{} has {length} lines", path.display())).collect())
}

/// Files and folders whose names are no nouns of their own.
pub(super) fn names(workspace: &Workspace) -> Result<Vec<String>> {
    let vague = |path: &PathBuf| {
        path.with_extension("").iter().any(|part| VAGUE.iter().any(|vague| part == *vague))
    };
    let files = rust_files(workspace)?.into_iter().filter(vague);
    Ok(files.map(|path| format!("{} says nothing by its name", path.display())).collect())
}

/// Crates that make lints of their own.
pub(super) fn lints(workspace: &Workspace) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for package in &workspace.packages {
        let manifest = Path::new(package["manifest_path"].as_str().unwrap_or_default());
        let text = fs::read_to_string(manifest)?;
        if !text.contains("[lints]\nworkspace = true") {
            findings.push(format!("{} does not take the workspace's lints", manifest.display()));
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
