//! Status of a session, and the reason of a status.

use crate::time::Timestamp;

/// What a session's connection does, or did when last heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Closed, on purpose or never opened.
    Stopped,
    /// On its way. Ends by a deadline.
    Starting,
    /// Waiting for a phone. Ends by a deadline.
    ScanQrCode,
    /// Logged in.
    Working,
    /// Closed, or retrying, against the wish; the reason says why.
    Failed,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 5] =
        [Self::Stopped, Self::Starting, Self::ScanQrCode, Self::Working, Self::Failed];

    /// The name the API uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::ScanQrCode => "scan_qr_code",
            Self::Working => "working",
            Self::Failed => "failed",
        }
    }

    /// `None` when there is no such status.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }
}

/// Why a status is what it is, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReasonCode {
    /// It did not come up in time.
    StartTimeout,
    /// Nobody scanned or typed in time.
    PairingExpired,
    /// WhatsApp refused the link, or the engine cannot carry it out for this kind of account.
    PairingFailed,
    /// WhatsApp asks this account for a passkey during linking.
    PasskeyRequired,
    /// The owner logged out.
    LoggedOutByUser,
    /// The device was unlinked on the phone.
    LoggedOutByPhone,
    /// The same device connected elsewhere.
    Replaced,
    /// WhatsApp banned the number for a while.
    Banned,
    /// WhatsApp wants a newer client.
    ClientOutdated,
    /// The node that holds it is not heard of.
    GatewayLost,
    /// WhatsApp cannot be reached.
    ConnectFailed,
    /// The session's task on the node died.
    Crashed,
    /// The node cannot read the session's keys, so that nobody knows whether a device is linked.
    KeysUnavailable,
    /// The node links as many devices at once as it may; the session has its turn later.
    WaitingToLink,
}

impl ReasonCode {
    /// Every reason.
    pub const ALL: [Self; 14] = [
        Self::StartTimeout,
        Self::PairingExpired,
        Self::PairingFailed,
        Self::PasskeyRequired,
        Self::LoggedOutByUser,
        Self::LoggedOutByPhone,
        Self::Replaced,
        Self::Banned,
        Self::ClientOutdated,
        Self::GatewayLost,
        Self::ConnectFailed,
        Self::Crashed,
        Self::KeysUnavailable,
        Self::WaitingToLink,
    ];

    /// The name the API uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StartTimeout => "start_timeout",
            Self::PairingExpired => "pairing_expired",
            Self::PairingFailed => "pairing_failed",
            Self::PasskeyRequired => "passkey_required",
            Self::LoggedOutByUser => "logged_out_by_user",
            Self::LoggedOutByPhone => "logged_out_by_phone",
            Self::Replaced => "replaced",
            Self::Banned => "banned",
            Self::ClientOutdated => "client_outdated",
            Self::GatewayLost => "gateway_lost",
            Self::ConnectFailed => "connect_failed",
            Self::Crashed => "crashed",
            Self::KeysUnavailable => "keys_unavailable",
            Self::WaitingToLink => "waiting_to_link",
        }
    }

    /// `None` when there is no such reason.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.as_str() == text)
    }
}

/// Why a status is what it is, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusReason {
    /// For programs.
    pub code: ReasonCode,
    /// For people.
    pub message: String,
    /// Since when.
    pub since: Timestamp,
    /// When it is tried again without being asked, if it is.
    pub retry_at: Option<Timestamp>,
}
