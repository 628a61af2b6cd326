//! Formatting and lints, which run before the tests.

use anyhow::Result;
use testbed::{checks::Checks, programs, workspace::Workspace};

/// Checks all sources with the features of all other builds.
pub(crate) fn run(workspace: &Workspace, checks: &mut Checks) {
    println!("\ngates");
    let cargo = |arguments: &[&str]| -> Result<()> { programs::cargo(workspace, arguments) };
    checks.check("cargo fmt", || cargo(&["fmt", "--all", "--check"]));
    let targets = ["fmt", "--manifest-path", "fuzz/Cargo.toml", "--", "--check"];
    checks.check("cargo fmt (fuzz targets)", || cargo(&targets));
    let clippy = [
        &["clippy", "--workspace", "--all-targets", "--features", programs::SIM][..],
        &["--", "-D", "warnings"],
    ];
    checks.check("cargo clippy", || cargo(&clippy.concat()));
}
