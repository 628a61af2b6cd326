//! Detects lost nodes and wakes sessions that wait for a node.
//!
//! A node that is silent for longer than its lease has closed its connections. berth marks the node
//! as lost and makes its sessions due.

use std::time::Duration;

use domain::{Node, Timestamp, ports::PortResult};

use crate::Worker;

impl Worker {
    /// Marks silent nodes as lost. The sessions of such a node become due before the mark, so that
    /// they are reconciled even if this router stops in between, and after the mark, so that they
    /// are reconciled at once.
    pub(crate) async fn check_nodes(&self) -> PortResult<()> {
        let now = self.ports.environment.now();
        let orphans = self.ports.nodes.orphans().await?;
        let nodes = self.ports.nodes.list().await?;
        self.ports.leases.refresh(&nodes, self.deadlines.lease);
        self.wake_waiting(&nodes).await?;
        for node in nodes {
            let of_node = orphans.iter().filter(|orphan| orphan.gateway == node.id).count();
            record_metrics(&node, of_node, now, self.deadlines.silence());
            if node.lost_at.is_some() || node.is_live(now, self.deadlines.silence()) {
                continue;
            }
            let silent_since = node.heartbeat_at.plus(Duration::from_millis(1));
            let (id, incarnation) = (&node.id, &node.incarnation);
            self.ports.worker_store.wake_node(id, now).await?;
            if self.ports.nodes.mark_lost(id, incarnation, silent_since, now).await? {
                tracing::warn!(
                    gateway = %id,
                    "gateway lost: no heartbeat in time; its sessions count as disconnected"
                );
                self.ports.worker_store.wake_node(id, now).await?;
            }
        }
        Ok(())
    }
}

/// Sets the gauges of a node. The label `gateway` is bounded: the operator names the nodes.
fn record_metrics(node: &Node, orphans: usize, now: Timestamp, silence: Duration) {
    let up = node.lost_at.is_none() && node.is_live(now, silence);
    let name = node.id.to_string();
    metrics::gauge!("berth_gateway_up", "gateway" => name.clone()).set(f64::from(u8::from(up)));
    let orphans = u32::try_from(orphans).unwrap_or(u32::MAX);
    metrics::gauge!("berth_gateway_orphans", "gateway" => name.clone()).set(f64::from(orphans));
    metrics::gauge!("berth_gateway_capacity", "gateway" => name.clone())
        .set(f64::from(node.capacity));
    metrics::gauge!("berth_gateway_sessions", "gateway" => name).set(f64::from(node.held));
}
