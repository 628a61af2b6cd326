//! The programs under test, built once and copied where later builds do not change them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

use crate::{options::Prebuilt, process::Process, workspace::Workspace};

/// The feature of a gateway that accepts a simulated WhatsApp.
pub const SIM: &str = "gateway/sim";
/// The programs of a deployment.
pub const NAMES: [&str; 3] = ["berth", "berth-gateway", "whatsapp-sim"];
/// The program that fills a database for measurements: an example of `store-diesel`, not shipped.
pub const SEED: &str = "seed";
/// The program in which simulated accounts exchange texts without berth: an example of `whatsapp-sim`.
pub const EXCHANGE: &str = "exchange";

/// A folder with `berth`, `berth-gateway` and `whatsapp-sim`.
#[derive(Clone, Debug)]
pub struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// Returns the prebuilt programs, or builds the programs.
    pub fn find(workspace: &Workspace, prebuilt: &Prebuilt) -> Result<Self> {
        let folder = match &prebuilt.programs {
            Some(folder) => folder.clone(),
            None => build(workspace)?,
        };
        for name in NAMES {
            ensure!(folder.join(name).is_file(), "there is no {name} in {}", folder.display());
        }
        Ok(Self { folder: fs::canonicalize(folder)? })
    }

    /// Builds the programs as they are shipped, this tool, and the programs that only
    /// measurements need.
    pub fn for_release(workspace: &Workspace, tool: &str) -> Result<Self> {
        println!("building everything for release (the first time takes some minutes)");
        let packages = ["server", "gateway", "whatsapp-sim", tool];
        let packages = packages.map(|package| ["--package", package]).concat();
        let arguments = [&["build", "--release", "--bins", "--features", SIM][..], &packages];
        cargo(workspace, &arguments.concat())?;
        let names = [&NAMES[..], &[tool]].concat();
        let folder = copied(workspace, "release", &names, "release-bin")?;
        // In a build of its own: examples enable features that shipped programs must not have.
        for (package, example) in [("store-diesel", SEED), ("whatsapp-sim", EXCHANGE)] {
            cargo(workspace, &["build", "--release", "-p", package, "--example", example])?;
            copied(workspace, "release/examples", &[example], "release-bin")?;
        }
        Ok(Self { folder })
    }

    /// Returns the folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the path of a program.
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Builds with test targets, whose features then equal those of the test builds. Without them,
/// shared crates compile twice.
fn build(workspace: &Workspace) -> Result<PathBuf> {
    println!("building berth, berth-gateway (with feature `sim`) and whatsapp-sim");
    cargo(workspace, &["build", "--workspace", "--all-targets", "--features", SIM])?;
    copied(workspace, "debug", &NAMES, "bin")
}

/// Copies programs of a profile to a folder and returns the folder.
fn copied(workspace: &Workspace, profile: &str, names: &[&str], to: &str) -> Result<PathBuf> {
    let folder = workspace.scratch(to)?;
    for name in names {
        let built = workspace.target.join(profile).join(name);
        let (copy, new) = (folder.join(name), folder.join(format!("{name}.new")));
        fs::copy(&built, &new).with_context(|| built.display().to_string())?;
        fs::rename(new, copy)?; // a running program is not overwritten
    }
    Ok(folder)
}

/// Runs cargo with inherited outputs; fails when cargo fails.
pub fn cargo(workspace: &Workspace, arguments: &[&str]) -> Result<()> {
    let mut cargo = workspace.cargo();
    let status = Process::spawn("cargo", cargo.args(arguments), None)?.wait()?;
    ensure!(status.success(), "`cargo {}` failed", arguments.join(" "));
    Ok(())
}
