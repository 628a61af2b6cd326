//! A copy of the checkout for mutants. The copy keeps its folder and its builds between runs, so that
//! cargo compiles only the differences.
//!
//! The copy builds in a target folder of its own: cargo takes two checkouts of one workspace for the
//! same packages, and in a shared folder the programs of the checkout could contain a mutant.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use testbed::workspace::Workspace;

use crate::rules::{ADDED_METHODS, Change};

/// The copy.
pub(crate) struct Copy {
    /// The copy as a workspace.
    pub(crate) workspace: Workspace,
}

impl Copy {
    /// Copies the checkout in its present state and adds the methods that mutants call.
    pub(crate) fn of(original: &Workspace) -> Result<Self> {
        let folder = original.scratch("mutants")?;
        let (root, target) = (folder.join("checkout"), folder.join("target"));
        let files = original.files()?;
        for file in &files {
            let mut content = fs::read(original.root.join(file))?;
            if *file == Path::new(ADDED_METHODS.0) {
                content.extend_from_slice(ADDED_METHODS.1.as_bytes());
            }
            write(&root.join(file), &content)?;
        }
        let files: BTreeSet<_> = files.into_iter().map(|file| root.join(file)).collect();
        remove_others(&root, &files)?;
        Ok(Self { workspace: Workspace { root, target, packages: original.packages.clone() } })
    }

    /// Applies a change until the returned value is dropped.
    pub(crate) fn broken(&self, file: &Path, change: &Change) -> Result<BrokenFile> {
        let path = self.workspace.root.join(file);
        let original = fs::read_to_string(&path)?;
        let mut text = original.clone();
        let range = change.range.clone();
        ensure!(text.get(range.clone()).is_some(), "{} ends before the change", file.display());
        text.replace_range(range, &change.text);
        let broken = BrokenFile { path: path.clone(), original };
        fs::write(path, text)?;
        Ok(broken)
    }
}

/// A file with a change. Dropping the value restores the file.
pub(crate) struct BrokenFile {
    path: PathBuf,
    original: String,
}

impl Drop for BrokenFile {
    fn drop(&mut self) {
        if let Err(error) = fs::write(&self.path, &self.original) {
            eprintln!("{} cannot be restored: {error}", self.path.display());
        }
    }
}

/// Writes a file unless the content is the same: cargo compiles every written file again.
fn write(path: &Path, content: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|present| present == content) {
        return Ok(());
    }
    let folder = path.parent().context("a file is in a folder")?;
    fs::create_dir_all(folder)?;
    fs::write(path, content).with_context(|| path.display().to_string())
}

/// Removes files that the checkout no longer has.
fn remove_others(folder: &Path, files: &BTreeSet<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            remove_others(&path, files)?;
        } else if !files.contains(&path) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}
