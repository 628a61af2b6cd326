//! The observed state of a session, and the snapshots that nodes report.

use crate::{
    session::{
        pairing::{Attempt, Identity},
        status::{ReasonCode, Status, StatusReason},
    },
    time::Timestamp,
};

/// The state that the node reported last, or that a deadline or a lost node implies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Status of the connection.
    pub status: Status,
    /// Reason of a status that the owner did not request.
    pub reason: Option<StatusReason>,
    /// The linked device. While present, the session is *paired*.
    pub identity: Option<Identity>,
    /// Codes of the present pairing attempt.
    pub pairing: Option<Attempt>,
    /// Time at which a transitional status ends without a report.
    pub deadline: Option<Timestamp>,
    /// Time of the last change to `working`.
    pub last_connected_at: Option<Timestamp>,
    /// Epoch that the node knew when it reported. 0 before the first report.
    pub epoch: u64,
    /// Generation of the node that reported.
    pub generation: u64,
    /// Order of the reports within a generation.
    pub seq: u64,
}

impl Observed {
    /// Returns the state before the first report.
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

/// The complete state of a session as its node reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The newest epoch that the node knows.
    pub epoch: u64,
    /// Generation of the node.
    pub generation: u64,
    /// Order of the snapshots within a generation.
    pub seq: u64,
    /// Status of the connection.
    pub status: Status,
    /// Reason of the status.
    pub reason: Option<SnapshotReason>,
    /// The linked device.
    pub identity: Option<Identity>,
    /// The present pairing attempt.
    pub pairing: Option<Attempt>,
}

/// Reason of a status in a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotReason {
    /// Code for programs.
    pub code: ReasonCode,
    /// Text for people.
    pub message: String,
    /// Time of the next connection attempt, by the node or after a ban by WhatsApp.
    pub retry_at: Option<Timestamp>,
}

/// Link state according to the device keys of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// A device is linked.
    Linked,
    /// No device is linked, and no open connection can link one.
    NotLinked,
    /// The device keys cannot be read.
    Unknown,
    /// No device is linked, and an open connection can link one.
    Linking,
}

impl Snapshot {
    /// Returns the link state that the snapshot shows.
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

/// Answer of a node to the question which device is linked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveIdentity {
    /// Whether the connection is logged in to WhatsApp.
    pub connected: bool,
    /// The linked device. `None` if no device is linked.
    pub identity: Option<Identity>,
    /// The present state of the session. `None` from a node version that does not send it.
    pub snapshot: Option<Snapshot>,
}
