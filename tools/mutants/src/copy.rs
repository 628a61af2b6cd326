//! A copy of the checkout to break. It keeps its place and its builds between runs, so that only what
//! differs from last time is compiled anew.
//!
//! It builds in a folder of its own: to cargo, two checkouts of one workspace are the same packages, and
//! in a folder that both built in, the checkout's programs might be made of a mutant.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use testbed::workspace::Workspace;

use crate::rules::{Change, GIVEN};

/// The copy.
pub(crate) struct Copy {
    /// The same, as a checkout of its own.
    pub(crate) workspace: Workspace,
}

impl Copy {
    /// As the checkout is now, and with what mutants call.
    pub(crate) fn of(original: &Workspace) -> Result<Self> {
        let folder = original.scratch("mutants")?;
        let (root, target) = (folder.join("checkout"), folder.join("target"));
        let files = original.files()?;
        for file in &files {
            let mut content = fs::read(original.root.join(file))?;
            if *file == Path::new(GIVEN.0) {
                content.extend_from_slice(GIVEN.1.as_bytes());
            }
            write(&root.join(file), &content)?;
        }
        let known: BTreeSet<_> = files.into_iter().map(|file| root.join(file)).collect();
        remove_others(&root, &known)?;
        Ok(Self { workspace: Workspace { root, target, packages: original.packages.clone() } })
    }

    /// With this change, for as long as the answer lives.
    pub(crate) fn broken(&self, file: &Path, change: &Change) -> Result<Broken> {
        let path = self.workspace.root.join(file);
        let whole = fs::read_to_string(&path)?;
        let mut text = whole.clone();
        let range = change.range.clone();
        ensure!(text.get(range.clone()).is_some(), "{} is shorter than that", file.display());
        text.replace_range(range, &change.text);
        let broken = Broken { path: path.clone(), whole };
        fs::write(path, text)?;
        Ok(broken)
    }
}

/// A file that is mended when this is dropped.
pub(crate) struct Broken {
    path: PathBuf,
    whole: String,
}

impl Drop for Broken {
    fn drop(&mut self) {
        if let Err(error) = fs::write(&self.path, &self.whole) {
            eprintln!("{} is still broken: {error}", self.path.display());
        }
    }
}

/// Writes a file unless it is so already: what is written is compiled anew.
fn write(path: &Path, content: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|there| there == content) {
        return Ok(());
    }
    let folder = path.parent().context("a file is in a folder")?;
    fs::create_dir_all(folder)?;
    fs::write(path, content).with_context(|| path.display().to_string())
}

/// Removes what the checkout no longer has.
fn remove_others(folder: &Path, known: &BTreeSet<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            remove_others(&path, known)?;
        } else if !known.contains(&path) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}
