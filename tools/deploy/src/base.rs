//! A stand-in for the base image: the libraries, users and folders that distroless `cc` in its variant
//! `nonroot` has and that the programs may rely on.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use testbed::workspace;

/// The libraries of the base image that a program may need.
const LIBRARIES: [&str; 6] = [
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
    "libc.so.6",
    "libgcc_s.so.1",
    "libm.so.6",
    "libstdc++.so.6",
];
const PASSWD: &str = "root:x:0:0:root:/root:/sbin/nologin\n\
                      nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nnonroot:x:65532:\n";
const CERTIFICATES: &str = "etc/ssl/certs/ca-certificates.crt";
/// Empty folders, for what a container runtime mounts.
const FOLDERS: [&str; 6] = ["dev", "proc", "sys", "run/secrets", "tmp", "home/nonroot"];

/// Adds the files of the base image to a root folder that has the programs.
///
/// # Errors
/// When a program needs a library that the base image does not have.
pub(crate) fn add(root: &Path, programs: &[PathBuf]) -> Result<()> {
    for folder in FOLDERS {
        fs::create_dir_all(root.join(folder))?;
    }
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777))?;
    fs::create_dir_all(root.join("etc/ssl/certs"))?;
    fs::write(root.join("etc/passwd"), PASSWD)?;
    fs::write(root.join("etc/group"), GROUP)?;
    let certificates = Path::new("/").join(CERTIFICATES);
    if certificates.is_file() {
        fs::copy(certificates, root.join(CERTIFICATES))?;
    }
    let mut libraries = BTreeSet::new();
    for program in programs {
        libraries.extend(libraries_of(program)?);
    }
    for library in libraries {
        let name = library.file_name().unwrap_or_default().to_string_lossy().into_owned();
        ensure!(LIBRARIES.contains(&&*name), "the base image has no {name}");
        let copy = root.join(library.strip_prefix("/")?);
        fs::create_dir_all(copy.parent().context("a library is in a folder")?)?;
        fs::copy(&library, &copy).with_context(|| library.display().to_string())?;
    }
    Ok(())
}

/// Returns the paths of the libraries that the loader of this machine takes for a program.
fn libraries_of(program: &Path) -> Result<BTreeSet<PathBuf>> {
    let listed = workspace::answer(Command::new("ldd").arg(program))?;
    ensure!(!listed.contains("not found"), "{} lacks a library:\n{listed}", program.display());
    let paths = listed.lines().filter_map(|line| {
        let path = line.split_whitespace().find(|word| word.starts_with('/'))?;
        Some(PathBuf::from(path))
    });
    Ok(paths.collect())
}
