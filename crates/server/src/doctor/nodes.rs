//! Checks of the nodes: registered, not lost, of this version, with a token.

use std::collections::BTreeSet;

use domain::ports::NodeStore as _;
use self_check::Report;
use store_diesel::Database;

use crate::config::{Gateways, NodeTls};

const CHECK: &str = "nodes";

/// Compares the registered nodes with the configured ones.
pub(super) async fn check(
    report: &mut Report,
    database: &Database,
    gateways: &Gateways,
    tls: &NodeTls,
) {
    let nodes = match database.list().await {
        Ok(nodes) => nodes,
        Err(error) => return report.fault(CHECK, error.to_string()),
    };
    let Gateways::Remote(remote) = gateways else { return };
    let registered: BTreeSet<_> = nodes.iter().map(|node| &node.id).collect();
    for id in remote.tokens.keys().filter(|id| !registered.contains(id)) {
        report.warn(CHECK, format!("node {id} has a token and has never registered"));
    }
    for node in nodes.iter().filter(|_| tls.certificate.is_some()) {
        if node.address.starts_with("http://") {
            report.warn(
                CHECK,
                format!(
                    "node {} at {} gets its token in plain HTTP; set BERTH_GATEWAY_TLS_CERT of the node",
                    node.id, node.address
                ),
            );
        }
    }
    let mut well = 0_u32;
    for node in &nodes {
        let (id, version) = (&node.id, &node.version);
        if !remote.permits(id) {
            report.warn(CHECK, format!("node {id} is registered and has no token in BERTH_NODE_TOKENS, and no pattern of BERTH_FLEET_NODES"));
        } else if node.lost_at.is_some() {
            report.fault(
                CHECK,
                format!("node {id} at {} is lost: no heartbeat in time", node.address),
            );
        } else if !version
            .split('+')
            .next()
            .is_some_and(|of| of.ends_with(env!("CARGO_PKG_VERSION")))
        {
            report.warn(
                CHECK,
                format!(
                    "node {id} is {version:?}, and this router is {}",
                    env!("CARGO_PKG_VERSION")
                ),
            );
        } else {
            well += 1;
        }
    }
    report.ok(CHECK, format!("{well} of {} registered nodes are well", nodes.len()));
}
