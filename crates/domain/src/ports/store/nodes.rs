//! Store of gateway nodes and of orphans.

use async_trait::async_trait;

use crate::{
    gateway::node::{HeldSession, Node},
    id::{GatewayId, SessionId},
    orphan::model::Orphan,
    ports::error::PortResult,
    time::Timestamp,
};

/// Gateway nodes.
#[async_trait]
pub trait NodeStore: OrphanStore {
    /// Stores a registration with `lost_at: None` and returns the generation. The generation
    /// increases if the incarnation is new or was marked as lost.
    ///
    /// `heartbeat_at` is stored with a new generation only. An incarnation that registers again and
    /// again has not shown that it receives answers, so the registration does not renew its lease.
    ///
    /// A lost node needs a new generation, so that its reports are newer than the lost marks of its
    /// sessions, even without a change on the node.
    async fn register(&self, node: &Node) -> PortResult<u64>;

    /// Stores a heartbeat with the number of held sessions. The lease counts from `since`, unless
    /// the stored time is later. Returns `false` if the incarnation is not registered or is lost.
    async fn heartbeat(
        &self,
        id: &GatewayId,
        incarnation: &str,
        held: u32,
        since: Timestamp,
    ) -> PortResult<bool>;

    /// Returns one node.
    async fn find(&self, id: &GatewayId) -> PortResult<Option<Node>>;

    /// Returns all nodes, ordered by id.
    async fn list(&self) -> PortResult<Vec<Node>>;

    /// Marks a node as lost, if it has this incarnation, its lease time is before `silent_since`,
    /// and it is not lost yet. Returns `true` if the call marked the node.
    async fn mark_lost(
        &self,
        id: &GatewayId,
        incarnation: &str,
        silent_since: Timestamp,
        now: Timestamp,
    ) -> PortResult<bool>;
}

/// Orphans of nodes.
#[async_trait]
pub trait OrphanStore: Send + Sync {
    /// Replaces the recorded orphans of a node. Returns the orphans that an earlier call recorded
    /// and no call returned: a session that the node releases after the heartbeat is no orphan.
    async fn note_orphans(
        &self,
        gateway: &GatewayId,
        held: &[HeldSession],
        now: Timestamp,
    ) -> PortResult<Vec<SessionId>>;

    /// Returns the orphans that were returned once and are still held, by node and session.
    async fn orphans(&self) -> PortResult<Vec<Orphan>>;

    /// Returns the highest sequence number of the events of a session, in every organization, or 0.
    /// An orphan may have been a session before, and events are kept longer than sessions.
    async fn last_event_sequence(&self, session: &SessionId) -> PortResult<u64>;
}
