//! Store of gateway nodes and of orphans.

use async_trait::async_trait;

use crate::{
    gateway::node::{HeldSession, Node},
    id::{GatewayId, SessionId},
    orphan::model::Orphan,
    ports::error::PortResult,
    time::Timestamp,
};

/// The gateway nodes.
#[async_trait]
pub trait NodeStore: OrphanStore {
    /// A node says hello. Stores it with `lost_at: None`; its boot number is one more than before
    /// when its incarnation is new or was given up, else what it was. Answers the boot number.
    ///
    /// Its `heartbeat_at` is stored with a new boot number only: an incarnation that says hello again and
    /// again has not shown that it hears the answers, and its lease is not renewed by that.
    ///
    /// Given up, its sessions were written off: only under a new boot number is what it shows of them
    /// newer than that, also when nothing has changed there meanwhile.
    async fn register(&self, node: &Node) -> PortResult<u64>;

    /// A node says it lives and how many sessions it holds; its lease counts from `since`, if that is
    /// later than before. `false` when this incarnation is not the one enlisted, or was given up.
    async fn heartbeat(
        &self,
        id: &GatewayId,
        incarnation: &str,
        held: u32,
        since: Timestamp,
    ) -> PortResult<bool>;

    /// One node.
    async fn find(&self, id: &GatewayId) -> PortResult<Option<Node>>;

    /// All nodes, by name.
    async fn list(&self) -> PortResult<Vec<Node>>;

    /// Gives a node up, if it is still this incarnation, was last heard of before `silent_since`, and
    /// was not given up before. `true` when it is given up now.
    async fn mark_lost(
        &self,
        id: &GatewayId,
        incarnation: &str,
        silent_since: Timestamp,
        now: Timestamp,
    ) -> PortResult<bool>;
}

/// Orphans, by node.
#[async_trait]
pub trait OrphanStore: Send + Sync {
    /// Replaces what is noted of this node. Answers those that an earlier call noted and that were not
    /// answered before: what a node lets go of when it is told so is no orphan.
    async fn note_orphans(
        &self,
        gateway: &GatewayId,
        held: &[HeldSession],
        now: Timestamp,
    ) -> PortResult<Vec<SessionId>>;

    /// Those that were answered and are still held, by node and session.
    async fn orphans(&self) -> PortResult<Vec<Orphan>>;
}
