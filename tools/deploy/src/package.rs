//! Builds the Debian packages from built programs: `dpkg-deb` over a tree of `deploy/files.txt`.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use testbed::{
    folder::Folder,
    programs,
    workspace::{self, Workspace},
};

/// The packages, each with the program of the same name.
pub(crate) const PACKAGES: [&str; 2] = ["berth", "berth-gateway"];
/// The scripts that a package may have.
const SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];

/// The compression of a package's files.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Compression {
    /// For tests: programs with debug information are large.
    None,
    /// What every Debian reads.
    Xz,
}

/// Builds the programs for release, and returns their folder.
pub(crate) fn build_programs(workspace: &Workspace) -> Result<PathBuf> {
    let arguments =
        ["build", "--release", "--locked", "--package", "server", "--package", "gateway"];
    programs::cargo(workspace, &arguments)?;
    Ok(workspace.target.join("release"))
}

/// Fails when a program is built for a simulated WhatsApp, or for tests.
pub(crate) fn must_be_shippable(programs: &Path) -> Result<()> {
    let version = workspace::answer(Command::new(programs.join("berth-gateway")).arg("--version"))?;
    ensure!(!version.contains("+sim"), "{} connects to a simulated WhatsApp only", version.trim());
    Ok(())
}

/// Returns the version of the workspace.
pub(crate) fn version(workspace: &Workspace) -> Result<String> {
    let package = workspace.packages.iter().find(|package| package["name"] == "server");
    let version = package.and_then(|package| package["version"].as_str());
    Ok(version.context("the workspace has no version")?.to_owned())
}

/// Builds one package into a folder, and returns the path of the package.
pub(crate) fn build(
    workspace: &Workspace,
    name: &str,
    programs: &Path,
    version: &str,
    compression: Compression,
    folder: &Path,
) -> Result<PathBuf> {
    let architecture = workspace::answer(Command::new("dpkg").arg("--print-architecture"))?;
    let architecture = architecture.trim();
    let scratch = Folder::new("package")?;
    let tree = scratch.path().join("tree");
    let mut script = Command::new(workspace.root.join("deploy/tree.sh"));
    workspace::answer(script.arg(format!("{name}.deb")).arg(programs).arg(&tree))?;

    let sources = workspace.root.join("deploy/deb");
    let control = tree.join("DEBIAN");
    fs::create_dir(&control)?;
    fs::set_permissions(&control, fs::Permissions::from_mode(0o755))?;
    let mut fields = fs::read_to_string(sources.join(format!("{name}.control")))?;
    let size = kibibytes(&tree)?;
    let package = format!("Package: {name}\n");
    let more = format!(
        "{package}Version: {version}\nArchitecture: {architecture}\nInstalled-Size: {size}\n"
    );
    ensure!(fields.starts_with(&package), "{name}.control is of another package");
    fields.replace_range(..package.len(), &more);
    fs::write(control.join("control"), fields)?;
    for script in SCRIPTS {
        let source = sources.join(format!("{name}.{script}"));
        if source.is_file() {
            fs::copy(&source, control.join(script))?;
            fs::set_permissions(control.join(script), fs::Permissions::from_mode(0o755))?;
        }
    }
    let conffiles = files(&tree.join("etc"))?;
    if !conffiles.is_empty() {
        let path = |file: &PathBuf| Ok(format!("/{}\n", file.strip_prefix(&tree)?.display()));
        let lines = conffiles.iter().map(path).collect::<Result<String>>()?;
        fs::write(control.join("conffiles"), lines)?;
    }

    fs::create_dir_all(folder)?;
    let package = folder.join(format!("{name}_{version}_{architecture}.deb"));
    let mut dpkg = Command::new("dpkg-deb");
    let compression = match compression {
        Compression::None => "-Znone",
        Compression::Xz => "-Zxz",
    };
    dpkg.args(["--root-owner-group", compression, "--build"]).arg(&tree).arg(&package);
    workspace::answer(&mut dpkg)?;
    Ok(package)
}

/// Returns the files below a folder, in order; none when the folder does not exist.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    Ok(files)
}

fn kibibytes(folder: &Path) -> Result<u64> {
    let mut size = 0;
    for file in files(folder)? {
        size += fs::metadata(file)?.len().div_ceil(1024);
    }
    Ok(size)
}
