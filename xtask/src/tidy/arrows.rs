//! Dependencies between the crates of the workspace, read from the manifests.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use testbed::workspace::Workspace;

/// The crates that may use the protocol, besides `server`.
const PROTOCOL_USERS: [&str; 3] = ["gateway-client", "gateway", "http-hyper"];
/// Further crates that a node uses.
const OF_NODES: [&str; 6] =
    ["backup", "program-settings", "program-telemetry", "sealing", "self-check", "service-notify"];
/// The crates that listen for HTTP requests, besides `server`.
const LISTENERS: [&str; 3] = ["gateway", "http-hyper", "whatsapp-sim"];
/// The crates that send HTTP requests, besides `server`.
const CLIENTS: [&str; 3] = ["auth", "gateway", "gateway-client"];
/// The crates that read the event feed, besides `server`.
const FEED_READERS: [&str; 2] = ["http-hyper", "webhook-dispatcher"];
/// The packages that build and test the programs and link none of them.
const TOOLS: [&str; 10] = [
    "acceptance",
    "bench",
    "browser",
    "demo",
    "deploy",
    "faults",
    "mutants",
    "rust-tokens",
    "testbed",
    "xtask",
];
/// Dependencies that `domain` has.
const ALLOWED_BY_DOMAIN: [&str; 2] = ["async-trait", "thiserror"];
/// Number of further small dependencies that `domain` may have.
const MAX_FURTHER: usize = 3;
/// Dependencies that would connect `domain` with the outside.
const FORBIDDEN_IN_DOMAIN: [&str; 12] = [
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

/// A dependency of a package on another; the kind is `normal`, `dev` or `build`.
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

/// Returns forbidden dependencies between crates of the workspace.
pub(super) fn between_ours(workspace: &Workspace) -> Result<Vec<String>> {
    let ours: Vec<_> = workspace.packages.iter().filter_map(|p| p["name"].as_str()).collect();
    ensure!(
        ours.contains(&"server") && ours.contains(&"domain"),
        "not the workspace of berth: {ours:?}"
    );
    let wrong = arrows(workspace).into_iter().filter(|arrow| ours.contains(&arrow.to));
    let wrong = wrong.filter(|arrow| !is_allowed(arrow));
    Ok(wrong
        .map(|arrow| format!("{} must not depend on {} ({})", arrow.from, arrow.to, arrow.kind))
        .collect())
}

fn is_allowed(arrow: &Arrow<'_>) -> bool {
    match (arrow.from, arrow.to) {
        // AGPL code stays behind the network, and the tools know only programs.
        (from, to) if TOOLS.contains(&from) => TOOLS.contains(&to) && to != "xtask",
        ("server", "gateway" | "whatsapp-sim") | (_, "xtask" | "server") => false,
        (_, to) if TOOLS.contains(&to) => false,
        // The HTTP crates know no crate of ours.
        ("http-listener", "http-listener") => arrow.kind == "dev",
        ("http-listener" | "http-client" | "service-notify" | "program-telemetry", _) => false,
        ("server", _) | (_, "domain") | ("backup", "sealing") => true,
        ("gateway", to) if OF_NODES.contains(&to) => true,
        ("gateway", "whatsapp-sim") => arrow.kind == "dev",
        (from, "http-listener") => LISTENERS.contains(&from),
        (from, "http-client") => CLIENTS.contains(&from),
        (from, "event-feed") => FEED_READERS.contains(&from),
        (from, "gateway-protocol") => PROTOCOL_USERS.contains(&from),
        _ => false,
    }
}

/// Returns forbidden dependencies of `domain`.
pub(super) fn of_domain(workspace: &Workspace) -> Result<Vec<String>> {
    let known = |package: &&Value| package["name"] == "domain";
    workspace.packages.iter().find(known).context("there is no package `domain`")?;
    let all = arrows(workspace);
    let declared = all.iter().filter(|arrow| arrow.from == "domain" && arrow.kind != "dev");
    let declared: Vec<_> = declared.map(|arrow| arrow.to).collect();
    let mut findings: Vec<_> = declared
        .iter()
        .filter(|name| FORBIDDEN_IN_DOMAIN.contains(name))
        .map(|name| format!("domain must not depend on {name}"))
        .collect();
    let small: Vec<_> = declared.iter().filter(|name| !ALLOWED_BY_DOMAIN.contains(name)).collect();
    if small.len() > MAX_FURTHER {
        findings.push(format!("domain depends on {small:?}, more than {MAX_FURTHER}"));
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allowed_dependencies_follow_the_code_map() {
        let allowed = |from, to, kind| is_allowed(&Arrow { from, to, kind });
        assert!(allowed("auth", "domain", "normal"));
        assert!(allowed("domain", "domain", "dev"));
        assert!(allowed("server", "store-diesel", "normal"));
        assert!(allowed("http-hyper", "gateway-protocol", "normal"));
        assert!(allowed("gateway", "whatsapp-sim", "dev"));
        assert!(allowed("gateway", "program-settings", "normal"));
        assert!(allowed("gateway", "service-notify", "normal"));
        assert!(!allowed("worker", "service-notify", "normal"));
        assert!(allowed("gateway", "program-telemetry", "normal"));
        assert!(!allowed("program-telemetry", "domain", "normal"));
        assert!(allowed("gateway", "backup", "normal"));
        assert!(!allowed("sealing", "backup", "normal"));
        assert!(allowed("http-hyper", "http-listener", "normal"));
        assert!(allowed("http-hyper", "event-feed", "normal"));
        assert!(!allowed("http-listener", "event-feed", "normal"));
        assert!(allowed("auth", "http-client", "normal"));
        assert!(allowed("http-hyper", "event-feed", "normal"));
        assert!(!allowed("store-diesel", "event-feed", "normal"));
        assert!(!allowed("http-listener", "domain", "normal"));
        assert!(!allowed("http-client", "domain", "dev"));
        assert!(allowed("webhook-client", "domain", "normal"));
        assert!(!allowed("webhook-client", "event-feed", "normal"));
        assert!(!allowed("worker", "webhook-client", "normal"));
        assert!(allowed("server", "webhook-client", "normal"));
        assert!(!allowed("worker", "http-listener", "normal"));
        assert!(!allowed("auth", "program-settings", "normal"));
        assert!(!allowed("gateway", "whatsapp-sim", "normal"));
        assert!(!allowed("auth", "store-diesel", "dev"));
        assert!(!allowed("worker", "gateway-protocol", "normal"));
        assert!(!allowed("server", "gateway", "dev"));
        assert!(!allowed("xtask", "domain", "normal"));
        assert!(allowed("xtask", "rust-tokens", "normal"));
        assert!(!allowed("domain", "rust-tokens", "dev"));
        assert!(!allowed("gateway", "server", "dev"));
    }
}
