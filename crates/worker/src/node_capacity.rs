//! [`NodeCapacity`]: the free capacity of nodes as this router knows it, and the wake-ups of
//! sessions that wait for capacity.
//!
//! A node reports how many sessions it holds in its heartbeats only. Sessions assigned after the
//! newest heartbeat are counted here, and a node that rejected a session as full has no free
//! capacity until its next heartbeat.
//!
//! Decision: ADR 0030.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::{GatewayId, Node, Timestamp, gateway::placement, ports::PortResult};

use crate::Worker;

/// The minimum time between two wake-ups while the free capacity does not increase.
const WAKE_INTERVAL: Duration = Duration::from_secs(1);
/// The maximum number of sessions that one wake-up makes due.
const MAX_WOKEN: u64 = 64;

/// The free capacity of nodes.
#[derive(Default)]
pub(crate) struct NodeCapacity(Mutex<CapacityState>);

#[derive(Default)]
struct CapacityState {
    /// For each node: the time of a heartbeat, and the sessions assigned since that heartbeat.
    assigned: HashMap<GatewayId, (Timestamp, u32)>,
    /// The time of the last wake-up and the free capacity at that time; `None` when no node has
    /// free capacity.
    last_wake: Option<(Timestamp, u64)>,
}

impl NodeCapacity {
    /// Chooses the node for a session without a node, and counts the session as assigned to that
    /// node.
    pub(crate) fn choose(
        &self,
        nodes: &[Node],
        now: Timestamp,
        lease: Duration,
    ) -> Option<GatewayId> {
        let mut state = self.lock();
        let nodes: Vec<_> = nodes.iter().map(|node| state.with_assigned(node)).collect();
        let node = placement::choose(&nodes, now, lease)?;
        let assigned = state.assigned.entry(node.id.clone()).or_insert((node.heartbeat_at, 0));
        if assigned.0 != node.heartbeat_at {
            *assigned = (node.heartbeat_at, 0);
        }
        assigned.1 += 1;
        Some(node.id.clone())
    }

    /// Records that the node rejected a session because it is full.
    pub(crate) fn mark_full(&self, node: &Node) {
        let left = node.capacity.saturating_sub(node.held);
        self.lock().assigned.insert(node.id.clone(), (node.heartbeat_at, left));
    }

    /// Returns how many waiting sessions to wake. Returns 0 within [`WAKE_INTERVAL`] of the last
    /// wake-up unless the free capacity has increased.
    fn sessions_to_wake(&self, nodes: &[Node], now: Timestamp, lease: Duration) -> u32 {
        let mut state = self.lock();
        state.assigned.retain(|id, _| nodes.iter().any(|node| node.id == *id));
        let live = nodes.iter().filter(|node| node.is_live(now, lease));
        let free = live
            .map(|node| state.with_assigned(node))
            .map(|node| u64::from(node.capacity.saturating_sub(node.held)));
        let free = free.sum();
        let too_soon = state.last_wake.is_some_and(|(at, before)| {
            free <= before && at <= now && at.until(now) < WAKE_INTERVAL
        });
        if free == 0 {
            state.last_wake = None;
            return 0;
        }
        if too_soon {
            return 0;
        }
        state.last_wake = Some((now, free));
        u32::try_from(free.min(MAX_WOKEN)).unwrap_or(u32::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, CapacityState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CapacityState {
    /// Returns the node with the sessions assigned since its heartbeat counted as held.
    fn with_assigned(&self, node: &Node) -> Node {
        let assigned =
            self.assigned.get(&node.id).filter(|(heartbeat, _)| *heartbeat == node.heartbeat_at);
        let more = assigned.map_or(0, |(_, count)| *count);
        Node { held: node.held.saturating_add(more), ..node.clone() }
    }
}

impl Worker {
    /// Makes sessions that wait for a node due, at most as many as there is free capacity.
    pub(crate) async fn wake_waiting(&self, nodes: &[Node]) -> PortResult<()> {
        let now = self.ports.environment.now();
        let count = self.capacity.sessions_to_wake(nodes, now, self.deadlines.lease);
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
            id: GatewayId::parse("gw-1").expect("a valid gateway id"),
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
    fn sessions_assigned_since_a_heartbeat_take_capacity() {
        let capacity = NodeCapacity::default();
        let nodes = [node(1, 0)];
        assert!(capacity.choose(&nodes, at(1), LEASE).is_some());
        assert!(capacity.choose(&nodes, at(2), LEASE).is_some());
        assert!(capacity.choose(&nodes, at(3), LEASE).is_none());
        assert!(
            capacity.choose(&[node(2, 4)], at(5), LEASE).is_some(),
            "the newest heartbeat states the held sessions"
        );
        capacity.mark_full(&node(2, 4));
        assert!(capacity.choose(&[node(2, 4)], at(6), LEASE).is_none());
    }

    #[test]
    fn waiting_sessions_are_woken_once_until_capacity_increases() {
        let capacity = NodeCapacity::default();
        assert_eq!(capacity.sessions_to_wake(&[node(3, 0)], at(0), LEASE), 0);
        assert_eq!(capacity.sessions_to_wake(&[node(2, 1)], at(1), LEASE), 1);
        assert_eq!(capacity.sessions_to_wake(&[node(2, 1)], at(2), LEASE), 0);
        assert_eq!(
            capacity.sessions_to_wake(&[node(1, 3)], at(3), LEASE),
            2,
            "the free capacity has increased"
        );
        assert_eq!(capacity.sessions_to_wake(&[node(1, 3)], at(1_003), LEASE), 2);
        capacity.mark_full(&node(1, 3));
        assert_eq!(
            capacity.sessions_to_wake(&[node(1, 3)], at(9_000), LEASE),
            0,
            "the node is marked as full"
        );
    }
}
