//! Gateway nodes: who they are, what they are told, and what they say.

mod leases;
pub mod placement;
mod service;

use std::time::Duration;

pub use leases::Leases;
pub use service::{HeartbeatOutcome, Lease, Nodes, RefusedReport, Registration, ReportOutcome};

use crate::{Attempt, GatewayId, Identity, PairingSpec, ReasonCode, SessionId, Status, Timestamp};

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

/// What a node is told about a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// See [`Spec::epoch`](crate::Wanted::epoch).
    pub epoch: u64,
    /// Connected or pairing, as opposed to closed.
    pub running: bool,
    /// How often a reconnect was asked for.
    pub restarts: u64,
    /// The pairing attempt wanted while unlinked.
    pub pairing: Option<PairingSpec>,
    /// Whether a device is linked as far as the router knows: a node that has no keys of such a
    /// session has lost them, and must not say that nothing is linked.
    pub linked: bool,
    /// An opaque tag that the sessions of one organization share: nodes share what is scarce fairly
    /// between groups. `None` is a group of its own.
    pub group: Option<String>,
}

/// What a node sees of a session: always the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The newest epoch the node was told.
    pub epoch: u64,
    /// The node's boot number.
    pub generation: u64,
    /// Orders snapshots within a boot.
    pub seq: u64,
    /// What the connection does.
    pub status: Status,
    /// Why: code, message, and when it is tried again.
    pub reason: Option<SnapshotReason>,
    /// Who is linked.
    pub identity: Option<Identity>,
    /// The pairing attempt under way.
    pub pairing: Option<Attempt>,
}

/// Whether a device is linked by the keys of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// A device is linked.
    Linked,
    /// No device is linked, and nothing is open that could link one.
    NotLinked,
    /// The keys cannot be read.
    Unknown,
    /// No device was linked yet, and a connection is open that can link one.
    Linking,
}

impl Snapshot {
    /// Whether a device is linked, by this snapshot.
    pub fn link_state(&self) -> LinkState {
        let unknown = |reason: &SnapshotReason| reason.code == ReasonCode::KeysUnavailable;
        if self.identity.is_some() {
            LinkState::Linked
        } else if self.reason.as_ref().is_some_and(unknown) {
            LinkState::Unknown
        } else if matches!(self.status, Status::Stopped | Status::Failed) {
            LinkState::NotLinked
        } else {
            LinkState::Linking
        }
    }
}

/// Why a node's status is what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotReason {
    /// For programs.
    pub code: ReasonCode,
    /// For people.
    pub message: String,
    /// When the node or WhatsApp will have it tried again.
    pub retry_at: Option<Timestamp>,
}

/// How an unlink ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogoutOutcome {
    /// WhatsApp said the device is gone.
    Confirmed,
    /// Not known.
    Unconfirmed,
    /// There was nothing to unlink.
    NotLinked,
}

impl LogoutOutcome {
    /// The name events use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Unconfirmed => "unconfirmed",
            Self::NotLinked => "not_linked",
        }
    }
}

/// Who is attached, asked live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveIdentity {
    /// Logged in to WhatsApp at this moment.
    pub connected: bool,
    /// `None` when no device is linked.
    pub identity: Option<Identity>,
    /// The session as the node sees it at this moment; `None` from a node that does not say.
    pub snapshot: Option<Snapshot>,
}

/// A session a node says it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldSession {
    /// The session.
    pub session: SessionId,
    /// The epoch the node was last told.
    pub epoch: u64,
}
