//! Gateway nodes.

use std::time::Duration;

use crate::{
    id::{GatewayId, SessionId},
    time::Timestamp,
};

/// A gateway node that has enlisted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The operator's name for it.
    pub id: GatewayId,
    /// Where it is reached: `http://host:port`.
    pub address: String,
    /// Made anew at every start of its process.
    pub incarnation: String,
    /// Counts its incarnations, and how often one that was given up came back.
    pub generation: u64,
    /// The program and its version.
    pub version: String,
    /// What it can do.
    pub features: Vec<String>,
    /// How many sessions it takes.
    pub capacity: u32,
    /// How many it held at its last beat.
    pub held: u32,
    /// When it was last heard of.
    pub heartbeat_at: Timestamp,
    /// When it was given up; `None` while it is trusted to hold its sessions.
    pub lost_at: Option<Timestamp>,
}

impl Node {
    /// Whether it can say who is attached when asked.
    pub fn supports_identity(&self) -> bool {
        self.features.iter().any(|feature| feature == "identity")
    }

    /// Whether its lease, of this length, still runs.
    pub fn is_live(&self, now: Timestamp, lease: Duration) -> bool {
        self.lost_at.is_none() && self.heartbeat_at.plus(lease) >= now
    }
}

/// A session a node says it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldSession {
    /// The session.
    pub session: SessionId,
    /// The epoch the node was last told.
    pub epoch: u64,
}
