//! Commands of the router about one session, their answers, and the errors of a node.

use serde::{Deserialize, Serialize};

use crate::snapshot::{Identity, Snapshot};

/// The spec of a session. A second declaration with the same values changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Declaration {
    /// Number of the spec; grows with every change. A node refuses older epochs.
    pub epoch: u64,
    /// `true`: the session is connected, or pairing when it is not linked and `pairing` is present.
    /// `false`: the session is closed.
    pub running: bool,
    /// Number of requested reconnects. A number higher than that of the open connection makes the node
    /// close the connection and open a new one with the same keys.
    pub restarts: u64,
    /// The pairing attempt. A node ignores the field when the session is linked.
    pub pairing: Option<PairingSpec>,
    /// Whether the router knows of a linked device. A node without keys of such a session reports
    /// `keys_unavailable`, not that no device is linked. Absent in messages of older routers.
    #[serde(default)]
    pub linked: bool,
    /// An opaque tag of at most 64 characters, the same for all sessions of one organization. A node
    /// grants permits to link and to connect by turns over the tags.
    #[serde(default)]
    pub group: Option<String>,
}

/// A pairing attempt. The node always offers QR codes, and a pairing code when `phone` is present.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PairingSpec {
    /// Number of the attempt. A higher number than that of the running attempt starts a new attempt.
    pub attempt: u64,
    /// Phone number for the pairing code, digits only.
    pub phone: Option<String>,
    /// Number of the code request within the attempt. A higher number requests a new code.
    pub request: u64,
}

/// Unlinks the device on WhatsApp. The node keeps the keys until the router forgets the session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Logout {
    /// See [`Declaration::epoch`].
    pub epoch: u64,
    /// See [`Declaration::linked`].
    #[serde(default)]
    pub linked: bool,
    /// Time limit in milliseconds. The time to connect, when the session is closed, counts.
    pub deadline_ms: u64,
}

/// Outcome of an unlink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogoutOutcome {
    /// WhatsApp confirmed that the device is unlinked.
    Confirmed,
    /// No answer within the time limit; the device may still be linked. The router repeats the command.
    Unconfirmed,
    /// No device is linked, and no connection is open that could link one.
    NotLinked,
}

/// The answer to [`Logout`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoggedOut {
    /// Outcome of the unlink.
    pub outcome: LogoutOutcome,
    /// The session after the command.
    pub snapshot: Snapshot,
}

/// The linked account, as the node knows it at the time of the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LiveIdentity {
    /// Whether the connection is logged in to WhatsApp.
    pub connected: bool,
    /// `None` when no device is linked.
    pub identity: Option<Identity>,
    /// The current state of the session. Absent in answers of older nodes.
    #[serde(default)]
    pub snapshot: Option<Snapshot>,
}

/// The body of every 4xx and 5xx answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// Machine-readable cause.
    pub code: RefusalCode,
    /// Text for the log; contains no secrets.
    pub message: String,
}

/// Cause of a [`Refusal`], each with its HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// 409: the node knows a newer epoch.
    StaleEpoch,
    /// 404: the node holds no session with this id.
    UnknownSession,
    /// 409, answer to a forget: a device is linked. The router must unlink the device before the node
    /// wipes its keys.
    StillLinked,
    /// 503: the node holds its maximum number of sessions.
    AtCapacity,
    /// 409, answer to a heartbeat or report: the router does not know this incarnation; the node must
    /// register first.
    #[serde(rename = "not_enlisted")]
    NotRegistered,
    /// 401: the bearer token is missing or wrong.
    Unauthorized,
    /// 400: the request is not valid.
    Malformed,
    /// 404 or 405: no operation has this path and method.
    UnknownCall,
    /// 503: temporary failure; the caller may repeat the request.
    Unavailable,
    /// 500: fault of the program that answers.
    Internal,
}
