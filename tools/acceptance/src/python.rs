//! Tools that Python has and Rust has not: a virtual environment of pinned packages, made once and kept.
//!
//! It is kept in the user's cache, under a name that says which packages it has, so that a fresh clone
//! finds it and a changed list makes another.

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

const PACKAGES: &str = "tools/acceptance/schemathesis/requirements.txt";
const MISSING: &str = "Python 3 with its module venv is not there: `apt-get install python3-venv`";

/// An interpreter that has the packages.
#[derive(Clone, Debug)]
pub(crate) struct Python {
    interpreter: PathBuf,
}

impl Python {
    /// Finds or makes it; whoever comes second waits for the first.
    pub(crate) fn ready(workspace: &Workspace) -> Result<Self> {
        static READY: OnceLock<Result<Python, String>> = OnceLock::new();
        let made =
            READY.get_or_init(|| Self::make(workspace).map_err(|error| format!("{error:#}")));
        made.clone().map_err(|error| anyhow!(error))
    }

    /// The interpreter, with these arguments, in this folder. It writes nothing beside its sources.
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
        println!("          making a virtual environment with schemathesis (once)");
        let _ = fs::remove_dir_all(&place);
        // Beside its place and moved there when it is whole: another checkout may do the same.
        let building = place.with_extension(std::process::id().to_string());
        let filled = fill(&building, &packages);
        if filled.is_err() || fs::rename(&building, &place).is_err() {
            let _ = fs::remove_dir_all(&building);
        }
        filled?;
        anyhow::ensure!(found.works(), "{} does not work", found.interpreter.display());
        Ok(found)
    }

    /// A system's Python may have gone on to another version since.
    fn works(&self) -> bool {
        let mut probe = Command::new(&self.interpreter);
        workspace::answer(probe.args(["-c", "import schemathesis, openapi_spec_validator"])).is_ok()
    }
}

/// Makes an environment in this folder, with these packages.
fn fill(folder: &Path, packages: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let mut venv = Command::new("python3");
    workspace::answer(venv.args(["-m", "venv", "--clear"]).arg(folder)).context(MISSING)?;
    let mut pip = Command::new(folder.join("bin/python"));
    // The list is whole, so nothing is looked for besides.
    pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--no-deps", "--requirement"]);
    pip.arg(packages).env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
    workspace::answer(&mut pip).map(drop)
}

/// The user's cache, or the target folder.
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
