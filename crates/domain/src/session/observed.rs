//! The observed state of a session, and the snapshots that nodes report.

use crate::{
    session::{
        pairing::{Attempt, Identity},
        status::{ReasonCode, Status, StatusReason},
    },
    time::Timestamp,
};

/// What its node last reported, or what silence means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// What the connection does.
    pub status: Status,
    /// Why, when it is not simply what was wanted.
    pub reason: Option<StatusReason>,
    /// Who is linked. While this is `Some`, the session is *paired*.
    pub identity: Option<Identity>,
    /// The codes of the pairing attempt under way.
    pub pairing: Option<Attempt>,
    /// When a transitional status ends if nothing is heard.
    pub deadline: Option<Timestamp>,
    /// When it last became `working`.
    pub last_connected_at: Option<Timestamp>,
    /// The epoch the node had been told when it reported this; 0 before its first word.
    pub epoch: u64,
    /// The boot of the node that reported this.
    pub generation: u64,
    /// Orders reports within a boot.
    pub seq: u64,
}

impl Observed {
    /// Before a node's first word.
    pub fn initial() -> Self {
        Self {
            status: Status::Stopped,
            reason: None,
            identity: None,
            pairing: None,
            deadline: None,
            last_connected_at: None,
            epoch: 0,
            generation: 0,
            seq: 0,
        }
    }
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
