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
    sync::OnceLock,
};

use anyhow::{Context as _, Result, anyhow};
use testbed::workspace::{self, Workspace};

const PACKAGES: &str = "tools/acceptance/requirements.txt";
const MISSING: &str = "Python 3 with its module venv is not there: `apt-get install python3-venv`";

/// A Python interpreter with the packages.
#[derive(Clone, Debug)]
pub(crate) struct Python {
    interpreter: PathBuf,
}

impl Python {
    /// Finds or creates the environment. Concurrent calls wait for the first one.
    pub(crate) fn ready(workspace: &Workspace) -> Result<Self> {
        static READY: OnceLock<Result<Python, String>> = OnceLock::new();
        let made =
            READY.get_or_init(|| Self::make(workspace).map_err(|error| format!("{error:#}")));
        made.clone().map_err(|error| anyhow!(error))
    }

    /// Returns the interpreter with this working directory. The interpreter writes no cache files
    /// beside its sources.
    pub(crate) fn command(&self, folder: &Path) -> Command {
        let mut command = Command::new(&self.interpreter);
        command
            .current_dir(folder)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PYTHONNOUSERSITE", "1");
        command
    }

    fn make(workspace: &Workspace) -> Result<Self> {
        let packages = workspace.root.join(PACKAGES);
        let text = fs::read_to_string(&packages).with_context(|| packages.display().to_string())?;
        let place = cache(workspace).join(format!("python-{:016x}", fingerprint(&text)));
        let found = Self { interpreter: place.join("bin/python") };
        if found.works() {
            return Ok(found);
        }
        println!(
            "          making a virtual environment with schemathesis, websockets and standardwebhooks \
             (once)"
        );
        let _ = fs::remove_dir_all(&place);
        // The environment is created under another name and renamed when complete, because another
        // checkout may do the same.
        let building = place.with_extension(std::process::id().to_string());
        let filled = fill(&building, &packages);
        if filled.is_err() || fs::rename(&building, &place).is_err() {
            let _ = fs::remove_dir_all(&building);
        }
        filled?;
        anyhow::ensure!(found.works(), "{} does not work", found.interpreter.display());
        Ok(found)
    }

    /// An upgrade of the system's Python may have broken the environment.
    fn works(&self) -> bool {
        let mut probe = Command::new(&self.interpreter);
        workspace::answer(probe.args([
            "-c",
            "import schemathesis, openapi_spec_validator, websockets, standardwebhooks",
        ]))
        .is_ok()
    }
}

/// Creates an environment in this folder with these packages.
fn fill(folder: &Path, packages: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let mut venv = Command::new("python3");
    workspace::answer(venv.args(["-m", "venv", "--clear"]).arg(folder)).context(MISSING)?;
    let mut pip = Command::new(folder.join("bin/python"));
    // The list is complete, so pip needs no dependency resolution.
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
