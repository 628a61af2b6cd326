//! The gateway node: its address, capacity, generation and liveness.

use std::time::Duration;

use crate::{
    id::{GatewayId, SessionId},
    time::Timestamp,
};

/// A registered gateway node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Id of the node, assigned by the operator.
    pub id: GatewayId,
    /// Address of the node: `http://host:port`.
    pub address: String,
    /// Random text that identifies one process of the node.
    pub incarnation: String,
    /// Number that increases with every new process, and when a lost node registers again.
    pub generation: u64,
    /// Program and version.
    pub version: String,
    /// Optional features that the node supports.
    pub features: Vec<String>,
    /// Maximum number of sessions.
    pub capacity: u32,
    /// Number of sessions held at the last heartbeat.
    pub held: u32,
    /// Time from which the lease counts.
    pub heartbeat_at: Timestamp,
    /// Time at which the node was marked as lost. `None` for a node that is not lost.
    pub lost_at: Option<Timestamp>,
}

impl Node {
    /// Returns true if the node answers questions for the linked device.
    pub fn supports_identity(&self) -> bool {
        self.features.iter().any(|feature| feature == "identity")
    }

    /// Returns true if the node sends and receives messages.
    pub fn supports_messages(&self) -> bool {
        self.features.iter().any(|feature| feature == "messages.v1")
    }

    /// Returns true if the node is not lost and a lease of this length is valid.
    pub fn is_live(&self, now: Timestamp, lease: Duration) -> bool {
        self.lost_at.is_none() && self.heartbeat_at.plus(lease) >= now
    }
}

/// A session that a node holds: in memory, or with device keys on its disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldSession {
    /// Id of the session.
    pub session: SessionId,
    /// The newest epoch that the node knows.
    pub epoch: u64,
}
