//! The Python tools of the acceptance tests.

use std::sync::OnceLock;

use anyhow::{Result, anyhow};
use testbed::{
    python::{Python, PythonPackages},
    workspace::Workspace,
};

const PACKAGES: PythonPackages = PythonPackages {
    list: "tools/acceptance/requirements.txt",
    modules: "schemathesis, openapi_spec_validator, websockets, standardwebhooks",
};

/// Finds or creates the environment. Concurrent calls wait for the first one.
pub(crate) fn ready(workspace: &Workspace) -> Result<Python> {
    static READY: OnceLock<Result<Python, String>> = OnceLock::new();
    let made = READY
        .get_or_init(|| Python::ready(workspace, PACKAGES).map_err(|error| format!("{error:#}")));
    made.clone().map_err(|error| anyhow!(error))
}
