//! Watches nodes: one that is silent for longer than its lease has closed its connections by itself,
//! and its sessions are told so. Where there is room, sessions that wait for it are woken.

use std::time::Duration;

use domain::{Node, Timestamp, ports::PortResult};

use crate::Worker;

impl Worker {
    /// Gives up nodes that are silent for too long. Their sessions are woken before, so that they are
    /// looked at again also if this router dies in between, and after, so that it is at once.
    pub(crate) async fn watch_nodes(&self) -> PortResult<()> {
        let now = self.ports.environment.now();
        let orphans = self.ports.nodes.orphans().await?;
        let nodes = self.ports.nodes.list().await?;
        self.ports.leases.refresh(&nodes, self.deadlines.lease);
        self.wake_waiting(&nodes).await?;
        for node in nodes {
            let of_node = orphans.iter().filter(|orphan| orphan.gateway == node.id).count();
            count(&node, of_node, now, self.deadlines.silence());
            if node.lost_at.is_some() || node.is_live(now, self.deadlines.silence()) {
                continue;
            }
            let silent_since = node.heartbeat_at.plus(Duration::from_millis(1));
            let (id, incarnation) = (&node.id, &node.incarnation);
            self.ports.worker_store.wake_node(id, now).await?;
            if self.ports.nodes.mark_lost(id, incarnation, silent_since, now).await? {
                tracing::warn!(gateway = %id, "gateway not heard of; its sessions count as closed");
                self.ports.worker_store.wake_node(id, now).await?;
            }
        }
        Ok(())
    }
}

/// Nodes are named by the operator, and few.
fn count(node: &Node, orphans: usize, now: Timestamp, silence: Duration) {
    let up = node.lost_at.is_none() && node.is_live(now, silence);
    let name = node.id.to_string();
    metrics::gauge!("berth_gateway_up", "gateway" => name.clone()).set(f64::from(u8::from(up)));
    let orphans = u32::try_from(orphans).unwrap_or(u32::MAX);
    metrics::gauge!("berth_gateway_orphans", "gateway" => name.clone()).set(f64::from(orphans));
    metrics::gauge!("berth_gateway_sessions", "gateway" => name).set(f64::from(node.held));
}
