//! How a node joins the router, shows that it lives, and tells what it sees.
//!
//! Decision: ADR 0025.

use serde::{Deserialize, Serialize};

use crate::snapshot::Snapshot;

/// The feature of a node that can answer `GET …/identity`.
pub const FEATURE_IDENTITY: &str = "identity";

/// A node's first word after it starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Enlist {
    /// Made anew at every start of the process, so that a restart is noticed.
    pub incarnation: String,
    /// Where the router reaches this node: `http://host:port`.
    pub address: String,
    /// The program and its version.
    pub version: String,
    /// What it can do: [`FEATURE_IDENTITY`].
    pub features: Vec<String>,
    /// How many sessions it takes.
    pub capacity: u32,
}

/// The router's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Enlisted {
    /// Grows with every new incarnation of this node, and when one that was given up enlists again;
    /// snapshots carry it.
    pub boot: u64,
    /// Without a successful beat for this long, milliseconds, the node closes every connection.
    pub lease_ms: u64,
    /// How often to beat, milliseconds.
    pub beat_ms: u64,
}

/// A session a node holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// The session.
    pub session: String,
    /// The epoch it was last told.
    pub epoch: u64,
}

/// "I live, and hold these": renews the leases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Beat {
    /// As enlisted.
    pub incarnation: String,
    /// Every session the node has keys or a connection of.
    pub held: Vec<Held>,
    /// How long ago, milliseconds, the node sent the newest enlistment or beat whose answer reached it.
    /// Both sides count the lease from then, so that a node whose answers are lost does not seem alive.
    #[serde(default)]
    pub heard_ago_ms: Option<u64>,
}

/// The answer to a beat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Beaten {
    /// As in [`Enlisted`].
    pub lease_ms: u64,
    /// Sessions that are no longer this node's: it closes them at once, and wipes those that were
    /// never linked. Keys of a linked device stay until the router says forget.
    pub lost: Vec<String>,
}

/// Snapshots that changed, oldest first per session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reports {
    /// As enlisted.
    pub incarnation: String,
    /// Kept on the node until this call succeeds.
    pub reports: Vec<Snapshot>,
}

/// The answer to [`Reports`] of which some cannot be stored; 204 when all are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reported {
    /// The sessions whose reports are not taken. Sending the same again changes nothing.
    pub refused: Vec<String>,
}

/// How a node fares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// The node's name.
    pub gateway: String,
    /// The program and its version.
    pub version: String,
    /// As enlisted.
    pub features: Vec<String>,
    /// How many sessions it takes.
    pub capacity: u32,
    /// How many it holds.
    pub sessions: u32,
    /// How many of them are logged in.
    pub working: u32,
    /// Resident memory, bytes.
    pub resident_bytes: u64,
}
