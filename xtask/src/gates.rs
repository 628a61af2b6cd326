//! What is refused before anything is run: sources that are not formatted, or that the lints know
//! something against.

use anyhow::Result;
use testbed::{programs, tally::Tally, workspace::Workspace};

/// Formatting and lints of everything, with the features all other builds have.
pub(crate) fn run(workspace: &Workspace, tally: &mut Tally) {
    println!("\ngates");
    let cargo = |arguments: &[&str]| -> Result<()> { programs::cargo(workspace, arguments) };
    tally.check("cargo fmt", || cargo(&["fmt", "--all", "--check"]));
    let targets = ["fmt", "--manifest-path", "fuzz/Cargo.toml", "--", "--check"];
    tally.check("cargo fmt (fuzz targets)", || cargo(&targets));
    let clippy = [
        &["clippy", "--workspace", "--all-targets", "--features", programs::SIM][..],
        &["--", "-D", "warnings"],
    ];
    tally.check("cargo clippy", || cargo(&clippy.concat()));
}
