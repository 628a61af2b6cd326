//! What is remembered of sessions that nodes hold and the database does not account for.

use async_trait::async_trait;

use super::PortResult;
use crate::{GatewayId, HeldSession, Orphan, SessionId, Timestamp};

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
