//! Placement of sessions on nodes. One node is a special case of many.
//!
//! Decision: ADR 0005.

use std::time::Duration;

use crate::{gateway::node::Node, time::Timestamp};

/// Returns the node for a session without a node: the live node with room that has the lowest ratio
/// of held sessions to capacity. Equal ratios are decided by the lower id. `None` if no node has
/// room.
///
/// A paired session never moves, because its device keys are on the disk of its node.
pub fn choose(nodes: &[Node], now: Timestamp, lease: Duration) -> Option<&Node> {
    nodes.iter().filter(|node| node.is_live(now, lease) && node.held < node.capacity).min_by(
        |a, b| {
            // Compares held/capacity without fractions.
            let left = u64::from(a.held) * u64::from(b.capacity);
            let right = u64::from(b.held) * u64::from(a.capacity);
            left.cmp(&right).then_with(|| a.id.cmp(&b.id))
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::GatewayId;

    const LEASE: Duration = Duration::from_secs(30);

    fn node(id: &str, held: u32, capacity: u32, heartbeat_at: i64) -> Node {
        Node {
            id: GatewayId::parse(id).unwrap(),
            address: "http://127.0.0.1:1".into(),
            incarnation: "i".into(),
            generation: 1,
            version: "v".into(),
            features: vec![],
            capacity,
            held,
            heartbeat_at: Timestamp::from_millis(heartbeat_at),
            lost_at: None,
        }
    }

    fn chosen(nodes: &[Node]) -> Option<&str> {
        choose(nodes, Timestamp::from_millis(100_000), LEASE).map(|n| n.id.as_str())
    }

    #[test]
    fn least_filled_live_node_is_chosen() {
        let nodes =
            [node("a", 50, 100, 99_000), node("b", 60, 200, 99_000), node("c", 0, 10, 1_000)];
        assert_eq!(chosen(&nodes), Some("b"));
    }

    #[test]
    fn full_nodes_are_not_chosen() {
        assert_eq!(chosen(&[node("a", 10, 10, 99_000), node("b", 0, 0, 99_000)]), None);
        assert_eq!(chosen(&[]), None);
    }

    #[test]
    fn lost_node_is_not_chosen_before_registration() {
        let mut lost = node("a", 0, 10, 99_000);
        lost.lost_at = Some(Timestamp::from_millis(98_000));
        assert_eq!(chosen(&[lost]), None);
    }
}
