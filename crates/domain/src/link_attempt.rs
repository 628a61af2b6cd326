//! Link attempts and their quotas.
//!
//! WhatsApp bans numbers that try to link too often. Attempts are counted per session, per phone
//! that a pairing code is requested for, and per organization. Counts never span organizations,
//! because a rejection would reveal sessions of another organization. The count outlives the
//! session.
//!
//! Decision: ADR 0032.

use std::time::Duration;

use crate::{id::SessionId, rate_quota::RateQuota, session::pairing::Phone, time::Timestamp};

/// Maximum number of link attempts that an organization can begin in an hour, over all its sessions
/// and phones.
pub const MAX_LINK_ATTEMPTS_PER_HOUR: u32 = 1_000;

/// A link attempt that a change begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkAttempt {
    /// The session to link.
    pub session: SessionId,
    /// Epoch of the session after the change. Session and epoch identify the attempt.
    pub epoch: u64,
    /// The phone that a pairing code is requested for.
    pub phone: Option<Phone>,
    /// Time at which the attempt begins.
    pub at: Timestamp,
    /// Quota per session and per phone.
    pub rate_quota: RateQuota,
    /// Quota per organization.
    pub organization_quota: RateQuota,
}

impl LinkAttempt {
    /// Quota per organization.
    pub const ORGANIZATION_QUOTA: RateQuota = RateQuota {
        name: "organization-pairing",
        count: MAX_LINK_ATTEMPTS_PER_HOUR,
        window: Duration::from_secs(3600),
    };

    /// Time that an attempt is kept. Older attempts count towards no quota.
    pub const RETENTION: Duration = Self::ORGANIZATION_QUOTA.window;
}
