//! What is refused before anything is run: sources that are not formatted, or that the lints know
//! something against.

use anyhow::Result;
use testbed::{checks::Checks, programs, workspace::Workspace};

/// Formatting and lints of everything, with the features all other builds have.
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
