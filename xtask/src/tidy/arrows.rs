//! Who may depend on whom, read from the manifests.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::workspace::Workspace;

/// The three that may speak the treaty besides `server`.
const TREATY: [&str; 3] = ["gateway-client", "gateway", "http-hyper"];
/// The crates that listen for HTTP requests besides `server`. The listener itself knows no crate of ours.
const LISTENERS: [&str; 3] = ["gateway", "http-hyper", "whatsapp-sim"];
const DIET: [&str; 2] = ["async-trait", "thiserror"];
/// So many small ones may join them.
const SMALL: usize = 3;
/// What would make `domain` know the outside.
const NEVER: [&str; 12] = [
    "anyhow",
    "axum",
    "chrono",
    "deadpool",
    "diesel",
    "http",
    "hyper",
    "serde",
    "serde_json",
    "time",
    "tokio",
    "tracing",
];

/// A dependency of one package on another, of a kind: `normal`, `dev` or `build`.
struct Arrow<'a> {
    from: &'a str,
    to: &'a str,
    kind: &'a str,
}

fn arrows(workspace: &Workspace) -> Vec<Arrow<'_>> {
    workspace
        .packages
        .iter()
        .flat_map(|package| {
            let from = package["name"].as_str().unwrap_or_default();
            let dependencies = package["dependencies"].as_array().into_iter().flatten();
            dependencies.map(move |dependency| Arrow {
                from,
                to: dependency["name"].as_str().unwrap_or_default(),
                kind: dependency["kind"].as_str().unwrap_or("normal"),
            })
        })
        .collect()
}

/// Arrows between crates of ours that the house does not know.
pub(super) fn between_ours(workspace: &Workspace) -> Result<Vec<String>> {
    let ours: Vec<_> = workspace.packages.iter().filter_map(|p| p["name"].as_str()).collect();
    ensure!(ours.contains(&"server") && ours.contains(&"domain"), "this is no berth: {ours:?}");
    let wrong = arrows(workspace).into_iter().filter(|arrow| ours.contains(&arrow.to));
    let wrong = wrong.filter(|arrow| !is_allowed(arrow));
    Ok(wrong
        .map(|arrow| format!("{} must not depend on {} ({})", arrow.from, arrow.to, arrow.kind))
        .collect())
}

fn is_allowed(arrow: &Arrow<'_>) -> bool {
    match (arrow.from, arrow.to) {
        ("http-listener", _) => false,
        // The engine's licence ends at the network, and the tools only know programs.
        ("server", "gateway" | "whatsapp-sim") | ("xtask", _) | (_, "xtask" | "server") => false,
        ("server", _) | (_, "domain") | ("gateway", "program-settings") => true,
        ("gateway", "whatsapp-sim") => arrow.kind == "dev",
        (from, "gateway-protocol") => TREATY.contains(&from),
        (from, "http-listener") => LISTENERS.contains(&from),
        _ => false,
    }
}

/// What `domain` depends on that it should not.
pub(super) fn diet(workspace: &Workspace) -> Result<Vec<String>> {
    let known = |package: &&Value| package["name"] == "domain";
    workspace.packages.iter().find(known).context("there is no package `domain`")?;
    let all = arrows(workspace);
    let eaten = all.iter().filter(|arrow| arrow.from == "domain" && arrow.kind != "dev");
    let eaten: Vec<_> = eaten.map(|arrow| arrow.to).collect();
    let mut findings: Vec<_> = eaten
        .iter()
        .filter(|name| NEVER.contains(name))
        .map(|name| format!("domain must not know {name}"))
        .collect();
    let small: Vec<_> = eaten.iter().filter(|name| !DIET.contains(name)).collect();
    if small.len() > SMALL {
        findings.push(format!("domain depends on {small:?}; {SMALL} small crates are enough"));
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arrows_are_those_of_the_picture() {
        let allowed = |from, to, kind| is_allowed(&Arrow { from, to, kind });
        assert!(allowed("auth", "domain", "normal"));
        assert!(allowed("domain", "domain", "dev"));
        assert!(allowed("server", "store-diesel", "normal"));
        assert!(allowed("http-hyper", "gateway-protocol", "normal"));
        assert!(allowed("http-hyper", "http-listener", "normal"));
        assert!(allowed("gateway", "http-listener", "normal"));
        assert!(!allowed("http-listener", "domain", "normal"));
        assert!(!allowed("worker", "http-listener", "normal"));
        assert!(allowed("gateway", "whatsapp-sim", "dev"));
        assert!(allowed("gateway", "program-settings", "normal"));
        assert!(!allowed("auth", "program-settings", "normal"));
        assert!(!allowed("gateway", "whatsapp-sim", "normal"));
        assert!(!allowed("auth", "store-diesel", "dev"));
        assert!(!allowed("worker", "gateway-protocol", "normal"));
        assert!(!allowed("server", "gateway", "dev"));
        assert!(!allowed("xtask", "domain", "normal"));
        assert!(!allowed("gateway", "server", "dev"));
    }
}
