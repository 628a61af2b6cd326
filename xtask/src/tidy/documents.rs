//! Paths and links in the documentation lead to existing files.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;
use testbed::workspace::Workspace;

/// The first folders of paths in backticks that are checked.
const TOPS: [&str; 8] =
    ["crates/", "deploy/", "docs/", "migrations/", "tools/", "xtask/", ".ci/", ".cargo/"];

/// Returns paths in backticks that do not exist.
pub(super) fn paths(workspace: &Workspace) -> Result<Vec<String>> {
    findings(workspace, |text, _| {
        let named = quoted(text).filter(|name| TOPS.iter().any(|top| name.starts_with(top)));
        named.flat_map(expanded).map(|path| workspace.root.join(cut_at_pattern(&path))).collect()
    })
}

/// Returns links to files that do not exist.
pub(super) fn links(workspace: &Workspace) -> Result<Vec<String>> {
    findings(workspace, |text, document| {
        let folder = document.parent().unwrap_or(&workspace.root);
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let files = targets.filter(|target| !target.contains("://") && !target.starts_with('#'));
        let files = files.filter(|target| !target.starts_with("mailto:"));
        files.map(|target| folder.join(target.split('#').next().unwrap_or_default())).collect()
    })
}

fn findings(
    workspace: &Workspace,
    named: impl Fn(&str, &Path) -> Vec<PathBuf>,
) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for document in workspace.files()? {
        if document.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        let path = workspace.root.join(&document);
        for missing in named(&fs::read_to_string(&path)?, &path) {
            if !missing.exists() {
                let missing = missing.strip_prefix(&workspace.root).unwrap_or(&missing);
                findings.push(format!("{} names {}", document.display(), missing.display()));
            }
        }
    }
    Ok(findings)
}

/// Returns the texts in backticks within a line.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// Expands `a/{b,c}.rs` to two paths.
fn expanded(path: &str) -> Vec<String> {
    let Some((before, rest)) = path.split_once('{') else { return vec![path.to_owned()] };
    let Some((choices, after)) = rest.split_once('}') else { return vec![path.to_owned()] };
    if !choices.contains(',') {
        return vec![before.to_owned()]; // a placeholder
    }
    choices.split(',').flat_map(|c| expanded(&format!("{before}{}{after}", c.trim()))).collect()
}

/// Returns the part of a path before the first pattern, without words after the path.
fn cut_at_pattern(path: &str) -> String {
    let path = path.split([' ', ':']).next().unwrap_or_default();
    let parts = path.split('/').take_while(|part| !part.contains(['*', '…', '<', '{']));
    parts.filter(|part| *part != "NNNN_name").collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_in_prose() {
        let text = "see `crates/a/src/{lib,b}.rs` and `x` or `crates/*/src`";
        let found: Vec<_> = quoted(text).flat_map(expanded).map(|p| cut_at_pattern(&p)).collect();
        assert_eq!(found, ["crates/a/src/lib.rs", "crates/a/src/b.rs", "x", "crates"]);
        assert_eq!(cut_at_pattern("crates/a.rs: why"), "crates/a.rs");
    }
}
