//! The programs under test: built once, copied where no later build can change them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

use crate::{commands::Prebuilt, process::Process, workspace::Workspace};

/// The feature that lets a gateway meet a simulated WhatsApp, and nothing else.
pub(crate) const SIM: &str = "gateway/sim";
const NAMES: [&str; 3] = ["berth", "berth-gateway", "whatsapp-sim"];
/// Fills a database for measurements: an example of the store's crate, in nothing that is shipped.
pub(crate) const SEED: &str = "seed";
/// This very tool.
pub(crate) const TOOL: &str = "xtask";

/// A folder with `berth`, `berth-gateway` and `whatsapp-sim`.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// Those that were named, or freshly built ones.
    pub(crate) fn find(workspace: &Workspace, prebuilt: &Prebuilt) -> Result<Self> {
        let folder = match &prebuilt.programs {
            Some(folder) => folder.clone(),
            None => build(workspace)?,
        };
        for name in NAMES {
            ensure!(folder.join(name).is_file(), "there is no {name} in {}", folder.display());
        }
        Ok(Self { folder: fs::canonicalize(folder)? })
    }

    /// Freshly built ones as they are shipped, with this tool built likewise beside them; and with what
    /// fills databases, if that is needed.
    pub(crate) fn for_release(workspace: &Workspace, with_seed: bool) -> Result<Self> {
        println!("building everything for release (the first time takes some minutes)");
        let arguments = ["build", "--release", "--workspace", "--bins", "--features", SIM];
        cargo(workspace, &arguments)?;
        let names = [&NAMES[..], &[TOOL]].concat();
        let folder = copied(workspace, "release", &names, "release-bin")?;
        if with_seed {
            // Apart, for examples turn on features that what is shipped must not have.
            cargo(workspace, &["build", "--release", "-p", "store-diesel", "--example", SEED])?;
            copied(workspace, "release/examples", &[SEED], "release-bin")?;
        }
        Ok(Self { folder })
    }

    /// Where they are.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// One of them.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// As the tests will be built, test dependencies included: those turn on features of crates that are
/// shared, and without them half of everything would be compiled twice.
fn build(workspace: &Workspace) -> Result<PathBuf> {
    println!("building berth, berth-gateway (with feature `sim`) and whatsapp-sim");
    cargo(workspace, &["build", "--workspace", "--all-targets", "--features", SIM])?;
    copied(workspace, "debug", &NAMES, "bin")
}

/// Copies what was built with a profile to a folder of this name.
fn copied(workspace: &Workspace, profile: &str, names: &[&str], to: &str) -> Result<PathBuf> {
    let folder = workspace.scratch(to)?;
    for name in names {
        let built = workspace.target.join(profile).join(name);
        let (copy, new) = (folder.join(name), folder.join(format!("{name}.new")));
        fs::copy(&built, &new).with_context(|| built.display().to_string())?;
        fs::rename(new, copy)?; // one that still runs is not written over
    }
    Ok(folder)
}

/// Runs cargo, its output ours; fails when it does.
pub(crate) fn cargo(workspace: &Workspace, arguments: &[&str]) -> Result<()> {
    let mut cargo = workspace.cargo();
    let status = Process::spawn("cargo", cargo.args(arguments), None)?.wait()?;
    ensure!(status.success(), "`cargo {}` failed", arguments.join(" "));
    Ok(())
}
