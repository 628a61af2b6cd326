//! Leases of nodes, as this router read them last. Reads of sessions use them, because a node
//! closes its connections when its lease is over.
//!
//! Decision: ADR 0025.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
    time::Duration,
};

use crate::{
    gateway::node::Node,
    id::GatewayId,
    session::{model::Session, spec::Desired, status::Status},
    time::Timestamp,
};

/// End times of the node leases. The worker refreshes them every second, also while the database
/// accepts no writes.
#[derive(Debug, Default)]
pub struct Leases(RwLock<HashMap<GatewayId, Timestamp>>);

impl Leases {
    /// Replaces the end times. `lease` is the length of a lease.
    pub fn refresh(&self, nodes: &[Node], lease: Duration) {
        let ends = |node: &Node| (node.id.clone(), node.heartbeat_at.plus(lease));
        let ends = nodes.iter().map(ends).collect();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = ends;
    }

    /// Returns the end of the node's lease if it is over. `None` for a valid lease and an unknown
    /// node.
    fn ended_lease(&self, gateway: &GatewayId, now: Timestamp) -> Option<Timestamp> {
        let ends = self.0.read().unwrap_or_else(PoisonError::into_inner).get(gateway).copied();
        ends.filter(|ends| *ends < now)
    }

    /// Returns the session as reads show it. If the lease of its node is over, the connection is
    /// shown as lost, whatever the stored state.
    pub fn apply(&self, session: Session, now: Timestamp) -> Session {
        let open = match session.spec.desired {
            Desired::Running => session.observed.status != Status::Failed,
            Desired::Stopped => session.observed.status != Status::Stopped,
        };
        let node = session.gateway.as_ref().filter(|_| open);
        match node.and_then(|gateway| self.ended_lease(gateway, now)) {
            Some(end) if session.spec.unlink.is_none() => {
                let mut lost = session.mark_node_lost(end).session;
                lost.lease_over = true;
                lost
            }
            _ => session,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        OrganizationId, ReasonCode, Settings, ports::Environment, testing::TestEnvironment,
    };

    #[test]
    fn session_is_lost_after_its_node_lease_ends() {
        let environment = TestEnvironment::new();
        let now = environment.now();
        let acme = OrganizationId::parse("acme").unwrap();
        let mut session = Session::new(acme, None, Settings::default(), &*environment);
        let gateway = GatewayId::parse("gw").unwrap();
        session.gateway = Some(gateway.clone());
        session.spec.desired = Desired::Running;
        session.observed.status = Status::Working;
        let node = Node {
            id: gateway,
            address: String::new(),
            incarnation: String::new(),
            generation: 1,
            version: String::new(),
            features: Vec::new(),
            capacity: 1,
            held: 1,
            heartbeat_at: now,
            lost_at: None,
        };
        let leases = Leases::default();
        let late = now.plus(Duration::from_secs(31));
        assert_eq!(
            leases.apply(session.clone(), late),
            session,
            "an unknown node changes no state"
        );
        leases.refresh(&[node], Duration::from_secs(30));
        let end = now.plus(Duration::from_secs(30));
        assert_eq!(leases.apply(session.clone(), end), session);
        let applied = leases.apply(session.clone(), late);
        assert!(applied.lease_over);
        assert_eq!(applied.observed.status, Status::Failed);
        let reason = applied.observed.reason.unwrap();
        assert_eq!((reason.code, reason.since), (ReasonCode::GatewayLost, end));
        session.spec.desired = Desired::Stopped;
        let applied = leases.apply(session, late);
        assert_eq!((applied.observed.status, applied.observed.reason), (Status::Stopped, None));
    }
}
