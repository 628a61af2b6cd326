//! Checks of the compose files and the Kubernetes manifests, by a script with the schemas of Kubernetes.

use std::process::Command;

use anyhow::{Result, bail, ensure};
use testbed::{
    checks::Checks,
    folder::Folder,
    programs::Programs,
    python::{Python, PythonPackages},
    workspace::{self, Workspace},
};

const PACKAGES: PythonPackages =
    PythonPackages { list: "tools/deploy/requirements.txt", modules: "kubernetes_validate, yaml" };
const SCRIPT: &str = "tools/deploy/manifests.py";

/// Checks the files.
pub(crate) fn check(workspace: &Workspace, _: &Programs, checks: &mut Checks) {
    println!("\nmanifests");
    let mut lines = String::new();
    checks.check("manifests: the script that judges them runs", || {
        let python = Python::ready(workspace, PACKAGES)?;
        let mut script = python.command(&workspace.root);
        lines = workspace::answer(script.arg(SCRIPT).arg(&workspace.root))?;
        ensure!(lines.lines().count() > 10, "only {lines}");
        Ok(())
    });
    for line in lines.lines() {
        let (outcome, name) = line.split_once(' ').unwrap_or((line, "unnamed"));
        checks.check(&format!("manifests: {name}"), || match outcome {
            "ok" => Ok(()),
            _ => bail!("{name}"),
        });
    }
    checks.check("manifests: make-secrets.sh makes secrets that the programs accept", || {
        secrets(workspace)
    });
}

/// Runs a copy of the script, and checks the secrets.
fn secrets(workspace: &Workspace) -> Result<()> {
    let folder = Folder::new("secrets")?;
    let copy = folder.path().join("make-secrets.sh");
    std::fs::copy(workspace.root.join("deploy/compose/make-secrets.sh"), &copy)?;
    workspace::answer(&mut Command::new(&copy))?;
    let read = |name: &str| std::fs::read_to_string(folder.path().join("secrets").join(name));
    let secret = read("fleet-secret")?;
    ensure!(secret.trim().len() == 64, "the fleet secret has {} characters", secret.trim().len());
    let password = read("database-password")?;
    ensure!(read("database-url")?.contains(&format!(":{}@postgres/", password.trim())), "the URL");
    let before = read("seal-keys")?;
    workspace::answer(&mut Command::new(&copy))?;
    ensure!(read("seal-keys")? == before, "a second run makes another seal key");
    Ok(())
}
