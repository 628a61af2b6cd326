//! The folders of the sources and of the built programs, as cargo reports them.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// A checkout.
#[derive(Debug)]
pub struct Workspace {
    /// The top folder.
    pub root: PathBuf,
    /// The target folder of cargo.
    pub target: PathBuf,
    /// The metadata of the packages of the workspace.
    pub packages: Vec<Value>,
}

impl Workspace {
    /// Reads the metadata from cargo.
    pub fn find() -> Result<Self> {
        // The variable that `cargo run` sets: two checkouts with one target folder may share this
        // binary.
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let manifest = manifest.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let here = if manifest.is_dir() { &manifest } else { Path::new(".") };
        let mut command = cargo(here);
        command.args(["metadata", "--no-deps", "--format-version", "1"]);
        let metadata: Value = serde_json::from_str(&answer(&mut command)?)?;
        let path = |name: &str| metadata[name].as_str().map(PathBuf::from).context("no workspace");
        Ok(Self {
            root: path("workspace_root")?,
            target: path("target_directory")?,
            packages: metadata["packages"].as_array().cloned().unwrap_or_default(),
        })
    }

    /// Returns `cargo` with the top folder as working directory.
    pub fn cargo(&self) -> Command {
        cargo(&self.root)
    }

    /// Returns every file that git tracks or would track, relative to the top folder.
    pub fn files(&self) -> Result<Vec<PathBuf>> {
        let mut git = Command::new("git");
        git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        let listed = answer(git.current_dir(&self.root))?;
        let files = listed.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from);
        Ok(files.filter(|file| self.root.join(file).is_file()).collect())
    }

    /// Returns a folder in the target folder for logs and copies of programs.
    pub fn scratch(&self, name: &str) -> Result<PathBuf> {
        let folder = self.target.join("berth-test").join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }
}

fn cargo(folder: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(folder);
    // Some build scripts run again when these variables, which `cargo run` sets, differ from those of
    // a cargo that was started by hand.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
        }) {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a command and returns its output; fails when the command fails.
pub fn answer(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    ensure!(
        output.status.success(),
        "{command:?} failed:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}
