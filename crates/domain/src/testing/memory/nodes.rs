//! Node store in memory.

use async_trait::async_trait;

use crate::{
    gateway::node::Node,
    id::GatewayId,
    ports::{error::PortResult, store::nodes::NodeStore},
    testing::memory::state::Memory,
    time::Timestamp,
};

#[async_trait]
impl NodeStore for Memory {
    async fn register(&self, node: &Node) -> PortResult<u64> {
        let mut state = self.state()?;
        let generation = match state.nodes.get(&node.id) {
            Some(known) if known.incarnation == node.incarnation && known.lost_at.is_none() => {
                known.generation
            }
            Some(known) => known.generation + 1,
            None => 1,
        };
        let same = state.nodes.get(&node.id).filter(|known| known.generation == generation);
        let heartbeat_at = same.map_or(node.heartbeat_at, |known| known.heartbeat_at);
        let node = Node { generation, heartbeat_at, lost_at: None, ..node.clone() };
        state.nodes.insert(node.id.clone(), node);
        Ok(generation)
    }

    async fn heartbeat(
        &self,
        id: &GatewayId,
        incarnation: &str,
        held: u32,
        since: Timestamp,
    ) -> PortResult<bool> {
        let mut state = self.state()?;
        let known = state.nodes.get_mut(id);
        let known = known.filter(|n| n.incarnation == incarnation && n.lost_at.is_none());
        let Some(node) = known else { return Ok(false) };
        (node.held, node.heartbeat_at) = (held, node.heartbeat_at.max(since));
        Ok(true)
    }

    async fn find(&self, id: &GatewayId) -> PortResult<Option<Node>> {
        Ok(self.state()?.nodes.get(id).cloned())
    }

    async fn list(&self) -> PortResult<Vec<Node>> {
        Ok(self.state()?.nodes.values().cloned().collect())
    }

    async fn mark_lost(
        &self,
        id: &GatewayId,
        incarnation: &str,
        silent_since: Timestamp,
        now: Timestamp,
    ) -> PortResult<bool> {
        let mut state = self.state()?;
        let known = state.nodes.get_mut(id).filter(|node| {
            node.incarnation == incarnation
                && node.heartbeat_at < silent_since
                && node.lost_at.is_none()
        });
        let lost = known.is_some();
        if let Some(node) = known {
            node.lost_at = Some(now);
        }
        Ok(lost)
    }
}
