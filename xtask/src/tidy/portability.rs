//! The project names no folder of a developer's machine, and no registry except crates.io.

use std::{ffi::OsString, fs, path::Path};

use anyhow::Result;
use testbed::workspace::Workspace;

const PUBLIC: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Returns other sources of crates, and settings that select some.
pub(super) fn registries(workspace: &Workspace) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for path in ["Cargo.lock", "fuzz/Cargo.lock"] {
        let lock = fs::read_to_string(workspace.root.join(path))?;
        let sources = lock.lines().filter_map(|line| line.strip_prefix("source = "));
        let others = sources.filter(|source| source.trim_matches('"') != PUBLIC);
        findings.extend(others.map(|source| format!("{path} takes a crate from {source}")));
    }
    for (path, text) in texts(workspace)? {
        let is_config = path.ends_with("config.toml") || path.ends_with("config");
        let leads = |line: &&str| {
            ["[source", "[registr", "replace-with"].iter().any(|w| line.starts_with(w))
        };
        if is_config && text.lines().any(|line| leads(&line.trim_start())) {
            findings.push(format!("{path} leads to a registry"));
        }
    }
    Ok(findings)
}

/// Returns absolute paths into a home folder or into this checkout.
pub(super) fn paths(workspace: &Workspace) -> Result<Vec<String>> {
    let mut forbidden = vec![workspace.root.display().to_string()];
    let home = std::env::var_os("HOME").filter(|home| Path::new(home).components().count() > 1);
    forbidden.extend(home.map(OsString::into_string).and_then(Result::ok).map(|h| format!("{h}/")));
    forbidden.extend(["home", "Users"].map(|folder| format!(" /{folder}/")));
    let mut findings = Vec::new();
    for (path, text) in texts(workspace)? {
        for (number, line) in text.lines().enumerate() {
            if let Some(found) =
                forbidden.iter().find(|forbidden| line.contains(forbidden.as_str()))
            {
                findings.push(format!("{path}:{}: {}", number + 1, found.trim()));
            }
        }
    }
    Ok(findings)
}

/// Returns the path and content of every text file.
fn texts(workspace: &Workspace) -> Result<Vec<(String, String)>> {
    let files = workspace.files()?.into_iter();
    Ok(files
        .filter_map(|path| {
            let text = fs::read_to_string(workspace.root.join(&path)).ok()?;
            Some((path.display().to_string(), text))
        })
        .collect())
}
