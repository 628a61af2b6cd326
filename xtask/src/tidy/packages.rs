//! The rules that look at all sources of one package: cycles, names and dependencies.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use rust_tokens::Tokens;
use serde_json::Value;
use testbed::workspace::Workspace;

use super::{cycles, dependencies, modules, names};

/// A package with its folder relative to the workspace.
struct Package<'a> {
    metadata: &'a Value,
    folder: PathBuf,
}

/// Returns every package of the workspace.
fn packages(workspace: &Workspace) -> Vec<Package<'_>> {
    let folder = |package: &Value| {
        let manifest = Path::new(package["manifest_path"].as_str()?);
        let folder = manifest.parent()?.strip_prefix(&workspace.root).ok()?;
        Some(folder.to_owned())
    };
    let found = workspace.packages.iter();
    found.filter_map(|metadata| Some(Package { folder: folder(metadata)?, metadata })).collect()
}

impl Package<'_> {
    /// The Rust files of the package below one of its folders, with their texts.
    fn files(&self, workspace: &Workspace, folder: &str) -> Result<Vec<(PathBuf, String)>> {
        let folder = self.folder.join(folder);
        let mut files = Vec::new();
        for file in workspace.files()? {
            if file.starts_with(&folder) && file.extension().is_some_and(|end| end == "rs") {
                let text = fs::read_to_string(workspace.root.join(&file))
                    .with_context(|| file.display().to_string())?;
                files.push((file, text));
            }
        }
        Ok(files)
    }

    /// The root files of the library and the programs.
    fn roots(&self) -> Vec<PathBuf> {
        let targets = self.metadata["targets"].as_array().into_iter().flatten();
        let in_src = |target: &Value| {
            let root = Path::new(target["src_path"].as_str()?);
            let ours = root.ancestors().find(|folder| folder.ends_with(self.folder.join("src")))?;
            Some(self.folder.join("src").join(root.strip_prefix(ours).ok()?))
        };
        targets.filter_map(in_src).collect()
    }
}

/// Import cycles between the files of each package.
pub(super) fn cyclic(workspace: &Workspace) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    let read = |path: &Path| fs::read_to_string(workspace.root.join(path)).ok();
    for package in packages(workspace) {
        for root in package.roots() {
            findings.extend(cycles::find(&modules::read(&root, &read)?));
        }
    }
    Ok(findings)
}

/// Type names that stand twice in a package.
pub(super) fn repeated(workspace: &Workspace) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for package in packages(workspace) {
        let files = package.files(workspace, "src")?.into_iter();
        let read = |(file, text): (PathBuf, String)| Ok((file, Tokens::read(&text)?));
        let files = files.map(read).collect::<Result<Vec<_>>>()?;
        findings.extend(names::repeated(files.iter().map(|(f, tokens)| (f.as_path(), tokens))));
    }
    Ok(findings)
}

/// Forbidden words in names.
pub(super) fn worded(workspace: &Workspace) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for package in packages(workspace) {
        for (file, text) in package.files(workspace, "")? {
            let found = names::forbidden(&text).with_context(|| file.display().to_string())?;
            let found = found.iter();
            findings.extend(
                found.map(|name| format!("{}:{} {}", file.display(), name.line, name.text)),
            );
        }
    }
    Ok(findings)
}

/// Declared dependencies that no source names.
pub(super) fn unused(workspace: &Workspace) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for package in packages(workspace) {
        let files = package.files(workspace, "")?;
        let parsed = files.iter().map(|(file, text)| {
            text.parse().map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))
        });
        let sources = parsed.collect::<Result<Vec<_>>>()?;
        findings.extend(dependencies::unused(package.metadata, &sources));
    }
    findings.extend(dependencies::unused_by_all(workspace)?);
    Ok(findings)
}
