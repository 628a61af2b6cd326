//! The WhatsApp engine stays in its programs, and its dangerous features stay out of shipped
//! programs.
//!
//! The engine's licence (AGPL-3.0) covers every program that links the engine. A build that skips
//! WhatsApp's certificate must not connect to WhatsApp. `cargo tree` reports what is linked with
//! the features of one program.
//!
//! Decision: ADR 0002.

use anyhow::{Result, ensure};
use testbed::workspace::{self, Workspace};

const ENGINE: [&str; 3] = ["wacore", "waproto", "whatsapp-rust"];

/// Returns packages of the engine that `server` depends on.
pub(super) fn engine(workspace: &Workspace) -> Result<Vec<String>> {
    let tree = tree(workspace, &["--package", "server", "--all-features", "--edges", "all"])?;
    ensure!(tree.iter().any(|line| line.starts_with("domain ")), "cargo tree shows no `domain`");
    let linked = tree.iter().filter(|line| ENGINE.iter().any(|name| line.starts_with(name)));
    Ok(linked.map(|line| format!("server links {line}")).collect())
}

/// Returns dangerous features of a default `berth-gateway`.
pub(super) fn danger(workspace: &Workspace) -> Result<Vec<String>> {
    let tree = tree(workspace, &["--package", "gateway", "--edges", "normal,build"])?;
    ensure!(
        tree.iter().any(|line| line.starts_with("whatsapp-rust ")),
        "berth-gateway has no engine"
    );
    let dangerous = tree.iter().filter(|line| line.contains("danger"));
    Ok(dangerous.map(|line| format!("berth-gateway is built with {line}")).collect())
}

/// Returns one line for each package: name, version, source, features.
fn tree(workspace: &Workspace, arguments: &[&str]) -> Result<Vec<String>> {
    let mut cargo = workspace.cargo();
    // The features of this program alone, whatever the shell sets.
    cargo.env_remove("CARGO_RESOLVER_FEATURE_UNIFICATION");
    cargo.args(["tree", "--quiet", "--prefix", "none", "--format", "{p} {f}"]).args(arguments);
    Ok(workspace::answer(&mut cargo)?.lines().map(str::to_owned).collect())
}
