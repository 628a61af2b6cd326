//! The command that builds the Debian packages, and the checks of the packages and their units.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use testbed::{
    checks::Checks,
    folder::Folder,
    programs::Programs,
    workspace::{self, Workspace},
};

use crate::{
    images::has_namespaces,
    package::{self, Compression, PACKAGES},
};

/// The versions of the packages of the test.
pub(crate) const VERSIONS: [&str; 2] = ["0.0.1", "0.0.2"];
/// The exposure that `systemd-analyze security` may find, times ten.
const MAX_EXPOSURE: &str = "20";

/// Builds both packages, and prints their paths.
pub(crate) fn make(
    workspace: &Workspace,
    to: &Path,
    version: Option<String>,
    programs: Option<PathBuf>,
) -> Result<()> {
    let programs = programs.map_or_else(|| package::build_programs(workspace), Ok)?;
    package::must_be_shippable(&programs)?;
    let version = version.map_or_else(|| package::version(workspace), Ok)?;
    for name in PACKAGES {
        let built = package::build(workspace, name, &programs, &version, Compression::Xz, to)?;
        println!("{}", built.display());
    }
    Ok(())
}

/// Checks the units, and installs, runs, upgrades and removes the packages.
pub(crate) fn check(workspace: &Workspace, programs: &Programs, checks: &mut Checks) {
    println!("\npackages");
    for unit in ["berth.service", "berth-gateway@.service"] {
        checks.check(&format!("packages: {unit} has an exposure of at most 2.0"), || {
            let unit = workspace.root.join("deploy/systemd").join(unit);
            let mut analyze = Command::new("systemd-analyze");
            analyze.args(["security", "--no-pager", "--offline=true"]);
            analyze.arg(format!("--threshold={MAX_EXPOSURE}")).arg(unit);
            workspace::answer(&mut analyze)
                .context("systemd-analyze of the Debian package systemd judges units")
                .map(drop)
        });
    }
    checks.check("packages: programs for a simulated WhatsApp are not packaged", || {
        let refused =
            make(workspace, Path::new("/nonexistent"), None, Some(programs.folder().into()));
        let message = refused.err().map(|error| error.to_string()).unwrap_or_default();
        ensure!(message.contains("simulated WhatsApp"), "not refused: {message}");
        Ok(())
    });
    if !has_namespaces() {
        return;
    }
    checks.check("packages: install, start, upgrade, remove and purge; the data stays", || {
        let folder = Folder::new("packages")?;
        for version in VERSIONS {
            for name in PACKAGES {
                let (programs, compression) = (programs.folder(), Compression::None);
                let package =
                    package::build(workspace, name, programs, version, compression, folder.path())?;
                must_have_documentation(&package, name)?;
            }
        }
        // A build of the workspace may have replaced the file of this program.
        let own = folder.path().join("deploy");
        fs::copy("/proc/self/exe", &own)?;
        // Other networks and processes, so that the default ports are free; mounts end with the process.
        let mut cycle = Command::new("unshare");
        cycle.args(["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]);
        cycle.arg(&own).arg("cycle").arg(folder.path());
        workspace::answer(&mut cycle).map(drop)
    });
}

/// Checks man pages and completions in the package itself, because some systems do not unpack them.
fn must_have_documentation(package: &Path, name: &str) -> Result<()> {
    let contents = workspace::answer(Command::new("dpkg-deb").arg("--contents").arg(package))?;
    for file in [
        format!("/usr/share/man/man1/{name}.1.gz"),
        format!("/usr/share/man/man1/{name}-doctor.1.gz"),
        format!("/usr/share/bash-completion/completions/{name}"),
        format!("/usr/share/zsh/vendor-completions/_{name}"),
        format!("/usr/share/fish/vendor_completions.d/{name}.fish"),
    ] {
        let line = contents.lines().find(|line| line.ends_with(&file));
        let line = line.with_context(|| format!("{} has no {file}", package.display()))?;
        let size = line.split_whitespace().nth(2);
        ensure!(size.is_some_and(|size| size != "0"), "{file} is empty");
    }
    Ok(())
}
