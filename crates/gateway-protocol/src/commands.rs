//! What the router asks of a node about one session, and how the node refuses.

use serde::{Deserialize, Serialize};

use crate::snapshot::{Identity, Snapshot};

/// What is wanted of a session from now on; declaring the same again changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Declaration {
    /// Grows with every change of what is wanted; older ones are refused.
    pub epoch: u64,
    /// Connected (or, when unlinked and `pairing` is given, pairing), as opposed to closed.
    pub running: bool,
    /// How often a reconnect was asked for. A number higher than the one the live connection was
    /// made under closes that connection and makes a new one, keeping the keys.
    pub restarts: u64,
    /// Wanted while the session is not linked; ignored once it is.
    pub pairing: Option<PairingWanted>,
    /// Whether a device is linked as far as the router knows. A node that has no keys of such a session
    /// says `keys_unavailable` instead of that nothing is linked.
    #[serde(default)]
    pub linked: bool,
    /// An opaque tag of at most 64 characters that the sessions of one organization share. Turns at
    /// linking and connecting go round over groups.
    #[serde(default)]
    pub group: Option<String>,
}

/// One attempt at linking a device. QR codes are always offered; a code only when a phone is named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PairingWanted {
    /// Names the attempt; a number higher than the running attempt's starts afresh.
    pub attempt: u64,
    /// The phone to make a pairing code for, digits only.
    pub phone: Option<String>,
    /// Names the request for a code within the attempt; a higher number asks for a fresh code.
    pub request: u64,
}

/// Asks the node to unlink the device on WhatsApp. The keys stay until the session is forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Logout {
    /// As in [`Declaration::epoch`].
    pub epoch: u64,
    /// As in [`Declaration::linked`].
    #[serde(default)]
    pub linked: bool,
    /// How long the node may take, milliseconds; it connects first when it has to.
    pub deadline_ms: u64,
}

/// How an unlink ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogoutOutcome {
    /// WhatsApp said the device is gone.
    Confirmed,
    /// Not known: no answer in time. Worth repeating.
    Unconfirmed,
    /// No device is linked, and nothing is open any more that could link one.
    NotLinked,
}

/// The answer to [`Logout`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoggedOut {
    /// How it ended.
    pub outcome: LogoutOutcome,
    /// The session afterwards.
    pub snapshot: Snapshot,
}

/// Who is attached right now, asked live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LiveIdentity {
    /// Logged in to WhatsApp at this moment.
    pub connected: bool,
    /// `None` when no device is linked.
    pub identity: Option<Identity>,
    /// The session as the node sees it at this moment; absent in a node's answer of an older version.
    #[serde(default)]
    pub snapshot: Option<Snapshot>,
}

/// Why a call was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// For programs.
    pub code: RefusalCode,
    /// For people; no secrets.
    pub message: String,
}

/// The causes of a [`Refusal`], each with its HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// 409: a newer epoch was already declared.
    StaleEpoch,
    /// 404: the node holds nothing under this id.
    UnknownSession,
    /// 409, to a forget: a device is linked after all, and must be unlinked before its keys are wiped.
    StillLinked,
    /// 503: no room for another session.
    AtCapacity,
    /// 409, to a beat or report: enlist first (the router does not know this incarnation).
    NotEnlisted,
    /// 401: the bearer token is not the one agreed on.
    Unauthorized,
    /// 400: the request is wrong by itself.
    Malformed,
    /// 404 or 405: no such call.
    UnknownCall,
    /// 503: cannot be done now; try again.
    Unavailable,
    /// 500: the fault is here.
    Internal,
}
