//! The WhatsApp engine stays in programs of its own, and its dangerous features out of real ones.
//!
//! The engine's licence (AGPL-3.0) covers whatever links it; a build that skips WhatsApp's certificate
//! must never meet WhatsApp. Cargo itself says what is linked: with the features of that program alone,
//! not of everything that is built beside it.
//!
//! Decision: ADR 0002.

use anyhow::{Result, ensure};
use testbed::workspace::{self, Workspace};

const ENGINE: [&str; 3] = ["wacore", "waproto", "whatsapp-rust"];

/// Packages of the engine that `server` reaches, however.
pub(super) fn engine(workspace: &Workspace) -> Result<Vec<String>> {
    let tree = tree(workspace, &["--package", "server", "--all-features", "--edges", "all"])?;
    ensure!(tree.iter().any(|line| line.starts_with("domain ")), "cargo tree shows no `domain`");
    let reached = tree.iter().filter(|line| ENGINE.iter().any(|name| line.starts_with(name)));
    Ok(reached.map(|line| format!("server reaches {line}")).collect())
}

/// Dangerous features that a plain `berth-gateway` is built with.
pub(super) fn danger(workspace: &Workspace) -> Result<Vec<String>> {
    let tree = tree(workspace, &["--package", "gateway", "--edges", "normal,build"])?;
    ensure!(tree.iter().any(|line| line.starts_with("whatsapp-rust ")), "it has no engine");
    let dangerous = tree.iter().filter(|line| line.contains("danger"));
    Ok(dangerous.map(|line| format!("berth-gateway is built with {line}")).collect())
}

/// One line a package: name, version, source, features.
fn tree(workspace: &Workspace, arguments: &[&str]) -> Result<Vec<String>> {
    let mut cargo = workspace.cargo();
    // Features as that program has them, whatever the caller's shell says.
    cargo.env_remove("CARGO_RESOLVER_FEATURE_UNIFICATION");
    cargo.args(["tree", "--quiet", "--prefix", "none", "--format", "{p} {f}"]).args(arguments);
    Ok(workspace::answer(&mut cargo)?.lines().map(str::to_owned).collect())
}
