//! Attempts at linking that are about to begin, and how many of them there may be.
//!
//! WhatsApp bans numbers that try too often. Attempts are counted for the session, for the phone that a
//! pairing code is asked for and for the organization, and within one organization alone: a refusal
//! would otherwise tell of another's sessions. The count outlives the session.
//!
//! Decision: ADR 0032.

use std::time::Duration;

use crate::{Phone, RateQuota, SessionId, Timestamp};

/// How many attempts an organization may begin in an hour, over all its sessions and phones.
pub const MAX_LINK_ATTEMPTS_PER_HOUR: u32 = 1_000;

/// An attempt that is about to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkAttempt {
    /// The session to be linked.
    pub session: SessionId,
    /// Its epoch from then on: with the session, the name of the attempt.
    pub epoch: u64,
    /// The phone that a pairing code is asked for.
    pub phone: Option<Phone>,
    /// When.
    pub at: Timestamp,
    /// How many there may be of one session, and of one phone.
    pub rate_quota: RateQuota,
    /// How many there may be of the organization.
    pub organization_quota: RateQuota,
}

impl LinkAttempt {
    /// How many attempts an organization may begin.
    pub const ORGANIZATION_QUOTA: RateQuota = RateQuota {
        name: "organization-pairing",
        count: MAX_LINK_ATTEMPTS_PER_HOUR,
        window: Duration::from_secs(3600),
    };

    /// For how long an attempt counts: after this nothing of it needs to be known any more.
    pub const RETENTION: Duration = Self::ORGANIZATION_QUOTA.window;
}
