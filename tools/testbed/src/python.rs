//! Python tools in a virtual environment of pinned packages, which is created once and kept.
//!
//! The environment is in the user's cache, and its name contains a hash of the package list. A
//! fresh clone finds the environment, and a changed list creates another one.

use std::{
    ffi::OsStr,
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::workspace::{self, Workspace};

const MISSING: &str = "Python 3 with its module venv is not there: `apt-get install python3-venv`";

/// A complete list of packages, so that pip needs no dependency resolution.
#[derive(Clone, Copy, Debug)]
pub struct PythonPackages {
    /// Path of the list below the top folder, in the form of `pip install --requirement`.
    pub list: &'static str,
    /// The modules that a working environment can import, separated by commas.
    pub modules: &'static str,
}

/// A Python interpreter with packages.
#[derive(Clone, Debug)]
pub struct Python {
    interpreter: PathBuf,
}

impl Python {
    /// Finds or creates the environment of these packages.
    pub fn ready(workspace: &Workspace, packages: PythonPackages) -> Result<Self> {
        let list = workspace.root.join(packages.list);
        let text = fs::read_to_string(&list).with_context(|| list.display().to_string())?;
        let place = cache(workspace).join(format!("python-{:016x}", fingerprint(&text)));
        let found = Self { interpreter: place.join("bin/python") };
        if found.imports(packages.modules) {
            return Ok(found);
        }
        println!("          making a virtual environment with {} (once)", packages.modules);
        let _ = fs::remove_dir_all(&place);
        // The environment is created under another name and renamed when complete, because another
        // checkout may do the same.
        let building = place.with_extension(std::process::id().to_string());
        let filled = fill(&building, &list);
        if filled.is_err() || fs::rename(&building, &place).is_err() {
            let _ = fs::remove_dir_all(&building);
        }
        filled?;
        anyhow::ensure!(
            found.imports(packages.modules),
            "{} does not work",
            found.interpreter.display()
        );
        Ok(found)
    }

    /// Returns the interpreter with this working directory. The interpreter writes no cache files
    /// beside its sources.
    pub fn command(&self, folder: &Path) -> Command {
        let mut command = Command::new(&self.interpreter);
        command
            .current_dir(folder)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PYTHONNOUSERSITE", "1");
        command
    }

    /// An upgrade of the system's Python may have broken the environment.
    fn imports(&self, modules: &str) -> bool {
        let mut probe = Command::new(&self.interpreter);
        workspace::answer(probe.args(["-c", &format!("import {modules}")])).is_ok()
    }
}

/// Creates an environment in this folder with these packages.
fn fill(folder: &Path, packages: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let mut venv = Command::new("python3");
    workspace::answer(venv.args(["-m", "venv", "--clear"]).arg(folder)).context(MISSING)?;
    let mut pip = Command::new(folder.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--no-deps", "--requirement"]);
    pip.arg(packages).env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
    workspace::answer(&mut pip).map(drop)
}

/// Returns the user's cache folder, or the target folder.
fn cache(workspace: &Workspace) -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| value != OsStr::new(""));
    let home = || set("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = set("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
    cache.map_or_else(|| workspace.target.join("berth-test"), |cache| cache.join("berth"))
}

fn fingerprint(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
