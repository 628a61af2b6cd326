//! What a node sees of one session: always the whole state, so that a lost report costs nothing.

use serde::{Deserialize, Serialize};

/// One session as its node sees it.
///
/// Of two snapshots of a session at one node the one with the greater `(boot, seq)` is newer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// The session.
    pub session: String,
    /// The newest epoch the node was told for it.
    pub epoch: u64,
    /// The node's boot number, which the router gave it at enlistment.
    pub boot: u64,
    /// Grows with every change of this session's snapshot since that boot.
    pub seq: u64,
    /// When it became so, by the node's clock.
    pub at: i64,
    /// What the connection does.
    pub status: Status,
    /// Why, when the status is not simply what was asked for.
    pub reason: Option<Reason>,
    /// Who is linked; `None` when nobody is, or when the reason is `keys_unavailable`, with which it is
    /// not known.
    pub identity: Option<Identity>,
    /// The pairing attempt under way.
    pub pairing: Option<Attempt>,
}

/// Snapshots of every session a node holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshots {
    /// In no order.
    pub sessions: Vec<Snapshot>,
}

/// What a session's connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Closed, on purpose.
    Stopped,
    /// On its way: connecting, reconnecting, or waiting for a first QR code.
    Starting,
    /// Waiting for a phone to scan the QR code or to be given the pairing code.
    ScanQrCode,
    /// Logged in.
    Working,
    /// Closed, or retrying, against the wish; see the reason.
    Failed,
}

/// Why a status is what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reason {
    /// One of [`reason`]'s constants.
    pub code: String,
    /// For people.
    pub message: String,
    /// When trying again makes sense, if it ever does by itself.
    pub retry_at: Option<i64>,
}

/// The codes a node may give.
pub mod reason {
    /// Nobody scanned or typed in time.
    pub const PAIRING_EXPIRED: &str = "pairing_expired";
    /// WhatsApp refused the link, or the engine could not carry it out (HOSTED accounts).
    pub const PAIRING_FAILED: &str = "pairing_failed";
    /// WhatsApp asks this account for a passkey during linking.
    pub const PASSKEY_REQUIRED: &str = "passkey_required";
    /// The owner logged the session out.
    pub const LOGGED_OUT_BY_USER: &str = "logged_out_by_user";
    /// The device was unlinked on the phone, or WhatsApp locked the account out.
    pub const LOGGED_OUT_BY_PHONE: &str = "logged_out_by_phone";
    /// The same keys connected elsewhere.
    pub const REPLACED: &str = "replaced";
    /// WhatsApp banned the number for a while.
    pub const BANNED: &str = "banned";
    /// WhatsApp wants a newer client.
    pub const CLIENT_OUTDATED: &str = "client_outdated";
    /// WhatsApp cannot be reached, or refused for now; the node goes on trying.
    pub const CONNECT_FAILED: &str = "connect_failed";
    /// The session's keys cannot be read, or are missing although a device was linked by them.
    pub const KEYS_UNAVAILABLE: &str = "keys_unavailable";
    /// Others have their turn at linking; the session's comes by itself.
    pub const WAITING_TO_LINK: &str = "waiting_to_link";
    /// The session's own task died in the node.
    pub const CRASHED: &str = "crashed";
}

/// A linked device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// Digits only.
    pub phone: String,
    /// `number:device@s.whatsapp.net`
    pub jid: String,
    /// `lid:device@lid`
    pub lid: Option<String>,
    /// The device's number on the account.
    pub device: u32,
    /// The name the account shows.
    pub push_name: Option<String>,
}

/// A pairing attempt under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// As declared.
    pub attempt: u64,
    /// The QR code of the moment.
    pub qr: Option<QrCode>,
    /// The pairing code of the moment.
    pub code: Option<PairingCode>,
}

/// A QR code's text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QrCode {
    /// What the picture says.
    pub text: String,
    /// When the next one replaces it.
    pub expires_at: i64,
    /// Which one of `of` this is, from 1.
    pub number: u32,
    /// How many there are before the attempt ends.
    pub of: u32,
}

/// A code to type on the phone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PairingCode {
    /// Eight characters, as the engine gives them; a dash is for the reader.
    pub code: String,
    /// As declared.
    pub request: u64,
    /// As declared.
    pub phone: String,
    /// When it stops working.
    pub expires_at: i64,
}
