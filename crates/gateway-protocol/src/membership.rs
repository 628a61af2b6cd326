//! Registration, heartbeats and reports of a node.
//!
//! Decision: ADR 0025.

use serde::{Deserialize, Serialize};

use crate::{journal::JournalStats, snapshot::Snapshot};

/// Feature of a node that implements `GET …/identity`.
pub const FEATURE_IDENTITY: &str = "identity";

/// First message of a node's process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Register {
    /// Random text, new at every start of the process; the router detects restarts by it.
    pub incarnation: String,
    /// Address at which the router reaches this node: `http://host:port`.
    pub address: String,
    /// Program name and version.
    pub version: String,
    /// Optional features, such as [`FEATURE_IDENTITY`].
    pub features: Vec<String>,
    /// Maximum number of sessions.
    pub capacity: u32,
}

/// Answer to [`Register`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Registered {
    /// Generation of the node: grows with every new incarnation, and when a lost node registers again.
    /// Snapshots carry the number.
    #[serde(rename = "boot")]
    pub generation: u64,
    /// Lease in milliseconds. A node closes every connection when no heartbeat succeeds for this long.
    pub lease_ms: u64,
    /// Interval of heartbeats in milliseconds.
    #[serde(rename = "beatMs")]
    pub heartbeat_ms: u64,
}

/// A session of which a node has keys or a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldSession {
    /// Session id.
    pub session: String,
    /// Newest epoch that the node received.
    pub epoch: u64,
}

/// Heartbeat: renews the lease of the node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Heartbeat {
    /// See [`Register::incarnation`].
    pub incarnation: String,
    /// Every session of which the node has keys or a connection.
    pub held: Vec<HeldSession>,
    /// Age in milliseconds of the newest registration or heartbeat whose answer reached the node. Both
    /// sides count the lease from that time, so that a node that receives no answers loses its lease.
    /// Absent in messages of older nodes.
    #[serde(default, rename = "heardAgoMs")]
    pub answered_ago_ms: Option<u64>,
    /// State of the journal. Absent in messages of nodes without [`FEATURE_MESSAGES`].
    ///
    /// [`FEATURE_MESSAGES`]: crate::FEATURE_MESSAGES
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal: Option<JournalStats>,
}

/// Answer to [`Heartbeat`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeartbeatAnswer {
    /// See [`Registered::lease_ms`].
    pub lease_ms: u64,
    /// Sessions that belong to this node no longer. The node closes them at once and wipes the keys of
    /// those that were never linked; keys of a linked device stay until the router sends a forget.
    pub lost: Vec<String>,
}

/// Changed snapshots, oldest first per session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reports {
    /// See [`Register::incarnation`].
    pub incarnation: String,
    /// The node keeps a snapshot until this request succeeds or a newer snapshot replaces it.
    pub reports: Vec<Snapshot>,
}

/// Answer to [`Reports`] when the router cannot store some of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reported {
    /// Sessions whose reports are not stored. Sending the same report again has the same result.
    pub refused: Vec<String>,
}

/// Health of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// Name of the node.
    pub gateway: String,
    /// Program name and version.
    pub version: String,
    /// See [`Register::features`].
    pub features: Vec<String>,
    /// Maximum number of sessions.
    pub capacity: u32,
    /// Number of held sessions.
    pub sessions: u32,
    /// Number of sessions that are logged in to WhatsApp.
    pub working: u32,
    /// Resident memory in bytes.
    pub resident_bytes: u64,
    /// See [`Heartbeat::journal`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal: Option<JournalStats>,
}
