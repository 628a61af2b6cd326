//! How long things may take before berth stops waiting for them, and how often they may be begun.

use std::time::Duration;

use crate::RateQuota;

/// Every deadline of a session's life. The defaults are what the API promises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// `starting` ends in `failed` after this.
    pub start: Duration,
    /// `scan_qr_code` ends in `stopped` after this if its node has not ended it before: longer than
    /// the QR codes of one attempt (160 s) and a pairing code (180 s) live.
    pub pairing: Duration,
    /// How long a logout request waits for WhatsApp before it answers.
    pub logout: Duration,
    /// After this, an unlink that WhatsApp did not confirm is given up and the keys are wiped.
    pub cleanup: Duration,
    /// A node that is silent for this long closes its connections by itself.
    pub lease: Duration,
    /// How much longer the router waits before it believes so, for clocks that drift and beats
    /// under way.
    pub lease_margin: Duration,
    /// How often a node beats.
    pub heartbeat_interval: Duration,
    /// How long an API key is kept after it was revoked or expired.
    pub key_retention: Duration,
    /// How long a code to scan or type is kept in the event log after it died.
    pub code_retention: Duration,
    /// How many attempts at linking may be begun of one session, and of one phone; `None` for any number,
    /// also of an organization. WhatsApp bans numbers that try too often.
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
            pairing_quota: Self::pairing_quota_per_hour(10),
        }
    }
}

impl Deadlines {
    /// So many attempts at linking in an hour; any number when it is 0.
    pub const fn pairing_quota_per_hour(count: u32) -> Option<RateQuota> {
        match count {
            0 => None,
            count => Some(RateQuota { name: "pairing", count, window: Duration::from_secs(3600) }),
        }
    }

    /// How long a node must be silent before its sessions count as closed.
    pub fn silence(&self) -> Duration {
        self.lease + self.lease_margin
    }
}

/// How long to wait after this many failures in a row: half a second, doubled up to half a minute.
pub fn back_off(failures: u32) -> Duration {
    Duration::from_millis(500 << failures.min(6)).min(Duration::from_secs(30))
}
