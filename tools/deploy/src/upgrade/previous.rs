//! The programs of the previous release, built from its commit.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};
use testbed::{
    options::Prebuilt,
    process::Process,
    programs::{NAMES, Programs, SIM},
    workspace::{self, Workspace},
};

/// The file with the commit. A release sets the commit to its own one.
const COMMIT: &str = "deploy/previous-release";

/// Returns the programs, and builds them when an earlier run has not done so.
pub(super) fn programs(workspace: &Workspace) -> Result<Programs> {
    let commit = fs::read_to_string(workspace.root.join(COMMIT)).context(COMMIT)?;
    let commit = commit.trim();
    let is_commit = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    ensure!(is_commit, "{COMMIT} is not the full id of a commit: {commit}");
    let folder = workspace.scratch("previous-release")?;
    let programs = folder.join(commit);
    if !programs.is_dir() {
        for entry in fs::read_dir(&folder)? {
            fs::remove_dir_all(entry?.path())?;
        }
        let (sources, built) = (folder.join("sources"), folder.join("built"));
        for folder in [&sources, &built] {
            fs::create_dir(folder)?;
        }
        build(workspace, commit, &sources, &built)?;
        fs::remove_dir_all(&sources)?;
        fs::rename(&built, &programs)?;
    }
    Programs::find(workspace, &Prebuilt { programs: Some(programs) })
}

/// Builds with a target folder of its own: that of the checkout has the programs of the checkout.
fn build(workspace: &Workspace, commit: &str, folder: &Path, to: &Path) -> Result<()> {
    println!("building the programs of {commit} (once)");
    let (source, target) = (folder.join("source"), folder.join("target"));
    fs::create_dir(&source)?;
    let archive = folder.join("source.tar");
    let mut git = Command::new("git");
    git.args(["archive", "--format=tar", "--output"]).arg(&archive).arg(commit);
    workspace::answer(git.current_dir(&workspace.root))?;
    workspace::answer(Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(&source))?;
    let mut cargo = workspace.cargo();
    cargo
        .current_dir(&source)
        .args(["build", "--locked", "--features", SIM, "--target-dir"])
        .arg(&target)
        .args(["--package", "server", "--package", "gateway", "--package", "whatsapp-sim"])
        // Smaller and faster to build; nobody debugs these programs.
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("CARGO_INCREMENTAL", "0");
    let status = Process::spawn("cargo", &mut cargo, None)?.wait()?;
    ensure!(status.success(), "the previous release cannot be built");
    for name in NAMES {
        fs::copy(target.join("debug").join(name), to.join(name))?;
    }
    Ok(())
}
