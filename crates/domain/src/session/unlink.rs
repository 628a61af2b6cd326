//! Unlink requests and their outcomes.

use crate::time::Timestamp;

/// The owner logged out; the device is to be unlinked on WhatsApp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnlinkRequest {
    /// When it was asked for.
    pub since: Timestamp,
    /// After this the keys are wiped without WhatsApp's word.
    pub deadline: Timestamp,
}

/// How an unlink ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogoutOutcome {
    /// WhatsApp said the device is gone.
    Confirmed,
    /// Not known.
    Unconfirmed,
    /// There was nothing to unlink.
    NotLinked,
}

impl LogoutOutcome {
    /// The name events use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Unconfirmed => "unconfirmed",
            Self::NotLinked => "not_linked",
        }
    }
}
