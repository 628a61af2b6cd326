//! Status of a session, and the reason of a status.

use crate::time::Timestamp;

/// Status of the connection of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Disconnected on request, or never connected.
    Stopped,
    /// Connecting. Ends by a deadline.
    Starting,
    /// Waiting for a phone to link. Ends by a deadline.
    ScanQrCode,
    /// Logged in.
    Working,
    /// Disconnected or retrying although the spec is `running`. The reason says why.
    Failed,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 5] =
        [Self::Stopped, Self::Starting, Self::ScanQrCode, Self::Working, Self::Failed];

    /// Returns the stable name, as stored and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::ScanQrCode => "scan_qr_code",
            Self::Working => "working",
            Self::Failed => "failed",
        }
    }

    /// Returns the status with this name, or `None`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }
}

/// Code of a reason, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReasonCode {
    /// The connection did not start in time.
    StartTimeout,
    /// No phone linked in time.
    PairingExpired,
    /// WhatsApp rejected the link, or the engine does not support this kind of account.
    PairingFailed,
    /// WhatsApp asks the account for a passkey during the link.
    PasskeyRequired,
    /// The owner logged out.
    LoggedOutByUser,
    /// The phone unlinked the device.
    LoggedOutByPhone,
    /// Another connection replaced this one.
    Replaced,
    /// WhatsApp banned the number for some time.
    Banned,
    /// WhatsApp requires a newer client.
    ClientOutdated,
    /// The lease of the node is over.
    GatewayLost,
    /// WhatsApp is not reachable.
    ConnectFailed,
    /// The task of the session on the node panicked.
    Crashed,
    /// The node cannot read the device keys, so the link state is unknown.
    KeysUnavailable,
    /// The node links its maximum number of devices. The session is queued.
    WaitingToLink,
}

impl ReasonCode {
    /// Every reason code.
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

    /// Returns the stable name, as stored and sent.
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

    /// Returns the code with this name, or `None`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.as_str() == text)
    }
}

/// Reason of a status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusReason {
    /// Code for programs.
    pub code: ReasonCode,
    /// Text for people.
    pub message: String,
    /// Start of the reason.
    pub since: Timestamp,
    /// Time of the next automatic attempt. `None` without one.
    pub retry_at: Option<Timestamp>,
}
