//! The accessibility rules of axe-core, taken out of a Python package: no package of another
//! registry is necessary.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use testbed::workspace::{self, Workspace};

use crate::driver::Browser;

const PACKAGE: &str = "axe-playwright-python==0.1.8";
const SCRIPT: &str = "axe.min.js";

/// The script that checks a page.
#[derive(Debug)]
pub(crate) struct Axe(String);

impl Axe {
    /// Reads the script; the first run installs the package into a folder of the workspace.
    ///
    /// # Errors
    /// When Python or its registry is not available.
    pub(crate) fn load(workspace: &Workspace) -> Result<Self> {
        let folder = workspace.scratch("axe")?;
        if find(&folder)?.is_none() {
            let environment = folder.join("python");
            workspace::answer(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
            let mut pip = Command::new(environment.join("bin/pip"));
            workspace::answer(pip.args(["install", "--quiet", "--no-deps", PACKAGE]))?;
        }
        let script = find(&folder)?.context("the package has no axe-core")?;
        Ok(Self(fs::read_to_string(script)?))
    }

    /// Checks the page that a browser shows.
    ///
    /// # Errors
    /// With every violation.
    pub(crate) fn check(&self, browser: &Browser) -> Result<()> {
        browser.run(&self.0, &[])?;
        let found = browser.run_async(
            "const done = arguments[0]; axe.run(document, { resultTypes: ['violations'] }).then( \
             (result) => done(result.violations.map((it) => `${it.impact} ${it.id}: ` + \
             it.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(' '))), \
             (error) => done([String(error)]));",
            &[],
        )?;
        ensure!(found == Value::Array(Vec::new()), "axe-core reports {found:#}");
        Ok(())
    }
}

/// Returns the path of the script below a folder; `None` before the installation.
fn find(folder: &Path) -> Result<Option<PathBuf>> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name() == SCRIPT {
            return Ok(Some(entry.path()));
        }
        // A link to a folder is not followed: environments of Python contain such links.
        if entry.file_type()?.is_dir()
            && let Some(script) = find(&entry.path())?
        {
            return Ok(Some(script));
        }
    }
    Ok(None)
}
