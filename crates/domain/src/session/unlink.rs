//! Unlink requests and their outcomes.

use crate::time::Timestamp;

/// A logout that WhatsApp has not confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnlinkRequest {
    /// Time of the request.
    pub since: Timestamp,
    /// Time after which the keys are wiped without a confirmation by WhatsApp.
    pub deadline: Timestamp,
}

/// Outcome of an unlink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogoutOutcome {
    /// WhatsApp confirmed the unlink.
    Confirmed,
    /// The outcome is unknown.
    Unconfirmed,
    /// No device was linked.
    NotLinked,
}

impl LogoutOutcome {
    /// Every outcome.
    pub const ALL: [Self; 3] = [Self::Confirmed, Self::Unconfirmed, Self::NotLinked];

    /// Returns the stable name, as stored in events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Unconfirmed => "unconfirmed",
            Self::NotLinked => "not_linked",
        }
    }

    /// Returns the outcome with this name, or `None`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == text)
    }
}
