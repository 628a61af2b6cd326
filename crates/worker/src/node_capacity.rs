//! How much room nodes have, as far as this router knows; and who waits for it.
//!
//! A node says how many sessions it holds with its heartbeat alone. What was placed on it since is counted
//! here, and a node that said it is full has no room before its next heartbeat.
//!
//! Decision: ADR 0030.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::{GatewayId, Node, Timestamp, gateway::placement, ports::PortResult};

use crate::Worker;

/// How often it is looked for room when there seems to be no more of it than before.
const EVERY: Duration = Duration::from_secs(1);
/// How many sessions are woken at once.
const AT_ONCE: u64 = 64;

#[derive(Default)]
pub(crate) struct Room(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// How many sessions were placed on a node since a heartbeat, and which.
    placed: HashMap<GatewayId, (Timestamp, u32)>,
    /// When it was last looked for room, and how much there was.
    looked: Option<(Timestamp, u64)>,
}

impl Room {
    /// The node for a session that has none, which counts as placed there from now on.
    pub(crate) fn choose(
        &self,
        nodes: &[Node],
        now: Timestamp,
        lease: Duration,
    ) -> Option<GatewayId> {
        let mut known = self.known();
        let nodes: Vec<_> = nodes.iter().map(|node| known.with_placed(node)).collect();
        let node = placement::choose(&nodes, now, lease)?;
        let placed = known.placed.entry(node.id.clone()).or_insert((node.heartbeat_at, 0));
        if placed.0 != node.heartbeat_at {
            *placed = (node.heartbeat_at, 0);
        }
        placed.1 += 1;
        Some(node.id.clone())
    }

    /// This node said that it is full.
    pub(crate) fn is_full(&self, node: &Node) {
        let left = node.capacity.saturating_sub(node.held);
        self.known().placed.insert(node.id.clone(), (node.heartbeat_at, left));
    }

    /// How many sessions may be woken that wait for room: none when it was looked for them a moment ago
    /// and there is no more room since.
    fn to_wake(&self, nodes: &[Node], now: Timestamp, lease: Duration) -> u32 {
        let mut known = self.known();
        known.placed.retain(|id, _| nodes.iter().any(|node| node.id == *id));
        let live = nodes.iter().filter(|node| node.is_live(now, lease));
        let room = live
            .map(|node| known.with_placed(node))
            .map(|node| u64::from(node.capacity.saturating_sub(node.held)));
        let room = room.sum();
        let quiet = known
            .looked
            .is_some_and(|(at, before)| room <= before && at <= now && at.until(now) < EVERY);
        if room == 0 {
            known.looked = None;
            return 0;
        }
        if quiet {
            return 0;
        }
        known.looked = Some((now, room));
        u32::try_from(room.min(AT_ONCE)).unwrap_or(u32::MAX)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// The node, with what was placed on it since its heartbeat.
    fn with_placed(&self, node: &Node) -> Node {
        let placed =
            self.placed.get(&node.id).filter(|(heartbeat, _)| *heartbeat == node.heartbeat_at);
        let more = placed.map_or(0, |(_, count)| *count);
        Node { held: node.held.saturating_add(more), ..node.clone() }
    }
}

impl Worker {
    /// Wakes sessions that wait for a node, if there is room: no more than there is room for.
    pub(crate) async fn wake_waiting(&self, nodes: &[Node]) -> PortResult<()> {
        let now = self.ports.environment.now();
        let count = self.room.to_wake(nodes, now, self.deadlines.lease);
        if count > 0 {
            self.ports.worker_store.wake_waiting(now, count).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(30);

    fn node(held: u32, heartbeat_at: i64) -> Node {
        Node {
            id: GatewayId::parse("gw-1").expect("a name"),
            address: "http://127.0.0.1:1".into(),
            incarnation: "i".into(),
            generation: 1,
            version: "v".into(),
            features: vec![],
            capacity: 3,
            held,
            heartbeat_at: Timestamp::from_millis(heartbeat_at),
            lost_at: None,
        }
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn what_was_placed_since_a_heartbeat_takes_room() {
        let room = Room::default();
        let nodes = [node(1, 0)];
        assert!(room.choose(&nodes, at(1), LEASE).is_some());
        assert!(room.choose(&nodes, at(2), LEASE).is_some());
        assert!(room.choose(&nodes, at(3), LEASE).is_none());
        assert!(
            room.choose(&[node(2, 4)], at(5), LEASE).is_some(),
            "a heartbeat says what is held"
        );
        room.is_full(&node(2, 4));
        assert!(room.choose(&[node(2, 4)], at(6), LEASE).is_none());
    }

    #[test]
    fn who_waits_is_woken_when_there_is_room_and_not_again_and_again() {
        let room = Room::default();
        assert_eq!(room.to_wake(&[node(3, 0)], at(0), LEASE), 0);
        assert_eq!(room.to_wake(&[node(2, 1)], at(1), LEASE), 1);
        assert_eq!(room.to_wake(&[node(2, 1)], at(2), LEASE), 0);
        assert_eq!(room.to_wake(&[node(1, 3)], at(3), LEASE), 2, "there is more room");
        assert_eq!(room.to_wake(&[node(1, 3)], at(1_003), LEASE), 2);
        room.is_full(&node(1, 3));
        assert_eq!(room.to_wake(&[node(1, 3)], at(9_000), LEASE), 0, "it said so");
    }
}
