//! The complete state of a session as its node reports it. A lost report costs nothing, because the next
//! one repeats the whole state.

use serde::{Deserialize, Serialize};

/// The state of one session.
///
/// Of two snapshots of a session by one node, the one with the greater `(generation, seq)` is newer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// Session id.
    pub session: String,
    /// Newest epoch that the node received for the session.
    pub epoch: u64,
    /// Generation of the node, as the router assigned it at registration.
    #[serde(rename = "boot")]
    pub generation: u64,
    /// Grows with every change of the snapshot within the generation.
    pub seq: u64,
    /// Time of the change by the clock of the node, Unix milliseconds.
    pub at: i64,
    /// State of the connection.
    pub status: Status,
    /// Cause of a status that the spec does not explain.
    pub reason: Option<Reason>,
    /// The linked account. `None`: no device is linked, or, with the reason `keys_unavailable`, the node
    /// cannot tell.
    pub identity: Option<Identity>,
    /// The running pairing attempt.
    pub pairing: Option<Attempt>,
}

/// Snapshots of every session that a node holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshots {
    /// In no particular order.
    pub sessions: Vec<Snapshot>,
}

/// State of a session's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Closed, as the spec asks.
    Stopped,
    /// Connecting, reconnecting, or waiting for the first QR code.
    Starting,
    /// Waiting for a phone to scan the QR code or for a person to type the pairing code.
    ScanQrCode,
    /// Logged in to WhatsApp.
    Working,
    /// Closed or retrying although the spec asks for a connection; the reason names the cause.
    Failed,
}

/// Cause of a status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reason {
    /// One of the constants of [`reason`].
    pub code: String,
    /// Text for people.
    pub message: String,
    /// Time of the next attempt, Unix milliseconds. `None`: no automatic attempt follows.
    pub retry_at: Option<i64>,
}

/// Codes of [`Reason`].
pub mod reason {
    /// No phone used the codes within the time of the attempt.
    pub const PAIRING_EXPIRED: &str = "pairing_expired";
    /// WhatsApp refused the link, or the engine does not support the account (HOSTED accounts).
    pub const PAIRING_FAILED: &str = "pairing_failed";
    /// WhatsApp requires a passkey to link this account.
    pub const PASSKEY_REQUIRED: &str = "passkey_required";
    /// The owner logged the session out.
    pub const LOGGED_OUT_BY_USER: &str = "logged_out_by_user";
    /// The device was unlinked on the phone, or WhatsApp locked the account out.
    pub const LOGGED_OUT_BY_PHONE: &str = "logged_out_by_phone";
    /// The same device connected from another place.
    pub const REPLACED: &str = "replaced";
    /// WhatsApp banned the number temporarily.
    pub const BANNED: &str = "banned";
    /// WhatsApp requires a newer client version.
    pub const CLIENT_OUTDATED: &str = "client_outdated";
    /// WhatsApp is unreachable or refuses connections for now; the node retries.
    pub const CONNECT_FAILED: &str = "connect_failed";
    /// The device keys cannot be read, or are missing although a device was linked.
    pub const KEYS_UNAVAILABLE: &str = "keys_unavailable";
    /// The node links its maximum number of devices; the session is in the queue.
    pub const WAITING_TO_LINK: &str = "waiting_to_link";
    /// The task of the session on the node panicked.
    pub const CRASHED: &str = "crashed";
}

/// A linked account with its device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// Phone number, digits only.
    pub phone: String,
    /// Phone-number JID of the device: `number:device@s.whatsapp.net`.
    pub jid: String,
    /// LID (private address) of the device: `lid:device@lid`.
    pub lid: Option<String>,
    /// Number of the device on the account.
    pub device: u32,
    /// Display name of the account.
    pub push_name: Option<String>,
}

/// A running pairing attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// Number of the attempt, see [`PairingSpec::attempt`](crate::PairingSpec::attempt).
    pub attempt: u64,
    /// The current QR code.
    pub qr: Option<QrCode>,
    /// The current pairing code.
    pub code: Option<PairingCode>,
}

/// A QR code to scan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QrCode {
    /// Text of the QR code.
    pub text: String,
    /// Time at which the next code replaces this one, Unix milliseconds.
    pub expires_at: i64,
    /// Number of the code within the attempt, from 1 to `of`.
    pub number: u32,
    /// Number of codes in the attempt.
    pub of: u32,
}

/// A pairing code to type on the phone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PairingCode {
    /// Eight characters without a dash.
    pub code: String,
    /// Number of the request, see [`PairingSpec::request`](crate::PairingSpec::request).
    pub request: u64,
    /// Phone number of the request, digits only.
    pub phone: String,
    /// Expiry, Unix milliseconds.
    pub expires_at: i64,
}
