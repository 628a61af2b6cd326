//! The programs of `tools/` that a command of `cargo xtask` builds and runs.

use std::{ffi::OsString, process::ExitCode};

use anyhow::Result;
use testbed::{interrupt, process::Process, workspace::Workspace};

/// A program of `tools/`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tool {
    package: &'static str,
    program: &'static str,
}

/// The demonstration.
pub(crate) const DEMO: Tool = Tool { package: "demo", program: "demo" };
/// The fault suites.
pub(crate) const SOAK: Tool = Tool { package: "faults", program: "soak" };
/// The tests of the dashboard.
pub(crate) const BROWSER: Tool = Tool { package: "browser", program: "browser" };
/// The tests of `deploy/`, and the packages.
pub(crate) const DEPLOY: Tool = Tool { package: "deploy", program: "deploy" };
/// Mutation tests of the isolation between organizations.
pub(crate) const MUTANTS: Tool = Tool { package: "mutants", program: "mutants" };

impl Tool {
    /// Builds the program and runs it with these arguments until it ends.
    pub(crate) fn run(self, workspace: &Workspace, arguments: &[OsString]) -> Result<ExitCode> {
        let mut cargo = workspace.cargo();
        cargo.args(self.cargo_arguments()).arg("--").args(arguments);
        interrupt::pass_on(); // the program cleans up before it ends
        let status = Process::spawn(self.program, &mut cargo, None)?.wait()?;
        Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// The arguments of `cargo` that build and run the program; those of the program follow after `--`.
    pub(crate) fn cargo_arguments(self) -> [&'static str; 6] {
        ["run", "--quiet", "--package", self.package, "--bin", self.program]
    }
}

/// Runs a suite at its full size. The suites of the dashboard belong to another program than the
/// fault suites.
pub(crate) fn soak(workspace: &Workspace, arguments: &[OsString]) -> Result<ExitCode> {
    let size = match arguments.first().and_then(|name| name.to_str()) {
        Some("browser") => "--full",
        Some("logins") => "--issuers",
        _ => return SOAK.run(workspace, arguments),
    };
    BROWSER.run(workspace, &[&[size.into()], &arguments[1..]].concat())
}
