//! Deadlines, retention times and the pairing quota.

use std::time::Duration;

use crate::rate_quota::RateQuota;

/// Deadlines of the session lifecycle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// Time after which `starting` becomes `failed`.
    pub start: Duration,
    /// Time after which `scan_qr_code` becomes `stopped` if the node has not ended the attempt.
    /// Longer than the QR codes of one attempt (160 s) and than one pairing code (180 s); it also ends
    /// an attempt whose pairing code was requested late or renewed.
    pub pairing: Duration,
    /// Time that a logout request waits for WhatsApp.
    pub logout: Duration,
    /// Time after which an unlink without confirmation is abandoned and the keys are wiped.
    pub cleanup: Duration,
    /// Time without an answered heartbeat after which a node closes its connections.
    pub lease: Duration,
    /// Additional time before the router treats the lease as expired: covers clock drift and
    /// heartbeats in flight.
    pub lease_margin: Duration,
    /// Interval between two heartbeats of a node.
    pub heartbeat_interval: Duration,
    /// Time that an API key is kept after revocation or expiry.
    pub key_retention: Duration,
    /// Time that a QR code or pairing code is kept in the event log after it expires.
    pub code_retention: Duration,
    /// Time that events are kept in the feed. Kinds that the audit log does not keep are removed
    /// then.
    pub feed_retention: Duration,
    /// Time that the audit log keeps events, at least [`Self::feed_retention`]. `None` keeps them for
    /// ever.
    pub audit_retention: Option<Duration>,
    /// Maximum number of pairing attempts per session and per phone. `None` disables this limit and
    /// the limit per organization. WhatsApp bans numbers that try too often.
    pub pairing_quota: Option<RateQuota>,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            start: Duration::from_secs(60),
            pairing: Duration::from_secs(240),
            logout: Duration::from_secs(10),
            cleanup: Duration::from_secs(3600),
            lease: Duration::from_secs(30),
            lease_margin: Duration::from_secs(10),
            heartbeat_interval: Duration::from_secs(5),
            key_retention: Duration::from_secs(30 * 86_400),
            code_retention: Duration::from_secs(3600),
            feed_retention: Duration::from_secs(30 * 86_400),
            audit_retention: None,
            pairing_quota: Self::pairing_quota_per_hour(10),
        }
    }
}

impl Deadlines {
    /// Returns a quota of `count` pairing attempts per hour, or `None` (no limit) for 0.
    pub const fn pairing_quota_per_hour(count: u32) -> Option<RateQuota> {
        match count {
            0 => None,
            count => Some(RateQuota { name: "pairing", count, window: Duration::from_secs(3600) }),
        }
    }

    /// Returns the time without a heartbeat after which a node is lost: lease plus margin.
    pub fn silence(&self) -> Duration {
        self.lease + self.lease_margin
    }
}

/// Returns the wait after `failures` consecutive failures: 0.5 s, doubled with each failure, at
/// most 30 s.
pub fn back_off(failures: u32) -> Duration {
    Duration::from_millis(500 << failures.min(6)).min(Duration::from_secs(30))
}
