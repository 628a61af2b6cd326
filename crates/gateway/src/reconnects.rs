//! Counts the connections to WhatsApp that were lost and that the node opens again.

use metrics::{counter, describe_counter};

/// Why a connection ended that was logged in, and that the node opens again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReconnectReason {
    /// WhatsApp or the network closed the connection.
    Closed,
    /// No data arrived, not even the answer to a keep-alive.
    Silent,
    /// The engine ended without a report of the loss.
    EngineStopped,
    /// The lease of the node ended, because no router answered.
    LeaseEnded,
}

impl ReconnectReason {
    const ALL: [Self; 4] = [Self::Closed, Self::Silent, Self::EngineStopped, Self::LeaseEnded];

    fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Silent => "silent",
            Self::EngineStopped => "engine_stopped",
            Self::LeaseEnded => "lease_ended",
        }
    }
}

/// Counts a lost connection.
pub(crate) fn count_reconnect(reason: ReconnectReason) {
    counter!("berth_reconnects_total", "reason" => reason.as_str()).increment(1);
}

/// Describes the counter, and sets it to 0 for every reason.
pub(crate) fn describe() {
    describe_counter!(
        "berth_reconnects_total",
        "logged-in connections that ended and that the node opens again, by reason (closed, silent, \
         engine_stopped, lease_ended)"
    );
    for reason in ReconnectReason::ALL {
        counter!("berth_reconnects_total", "reason" => reason.as_str()).absolute(0);
    }
}
