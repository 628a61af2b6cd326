//! The table `link_attempts`. Rows stay while they count towards a quota, also after their session
//! is deleted.
//!
//! Decision: ADR 0032.

use diesel::prelude::*;
use domain::{LinkAttempt, Phone, RateQuota, Scope, Timestamp, ports::Rejection};
use sha2::{Digest, Sha256};

use crate::{StoreError, rows::column::to_bigint, schema::link_attempts};

/// A row of `link_attempts`.
#[derive(Insertable)]
#[diesel(table_name = link_attempts, treat_none_as_default_value = false)]
pub(crate) struct LinkAttemptRow {
    organization: String,
    pub(crate) session: String,
    epoch: i64,
    pub(crate) phone: Option<Vec<u8>>,
    at: i64,
}

/// A new link attempt with the quotas that it must meet.
pub(crate) struct NewLinkAttempt {
    pub(crate) row: LinkAttemptRow,
    pub(crate) quota: RateQuota,
    pub(crate) organization_quota: RateQuota,
}

impl NewLinkAttempt {
    pub(crate) fn new(scope: &Scope, attempt: &LinkAttempt) -> Result<Self, StoreError> {
        let organization = scope.organization().to_string();
        let phone = attempt.phone.as_ref().map(|phone| digest(&organization, phone));
        let row = LinkAttemptRow {
            organization,
            session: attempt.session.to_string(),
            epoch: to_bigint("link_attempts.epoch", attempt.epoch)?,
            phone,
            at: attempt.at.millis(),
        };
        let (quota, organization_quota) = (attempt.rate_quota, attempt.organization_quota);
        Ok(Self { row, quota, organization_quota })
    }

    /// Returns the times between which earlier attempts count for the quota, in milliseconds; the
    /// first is excluded.
    pub(crate) fn window(&self, quota: RateQuota) -> (i64, i64) {
        let now = Timestamp::from_millis(self.row.at);
        (quota.since(now).millis(), RateQuota::until(now).millis())
    }

    /// Checks the quota. `earliest` is the time of the oldest attempt that must leave the window
    /// before this attempt may begin; `None` when the quota has room.
    ///
    /// # Errors
    /// [`StoreError::Rejected`] when the quota is used up.
    pub(crate) fn admit(&self, quota: RateQuota, earliest: Option<i64>) -> Result<(), StoreError> {
        let Some(earliest) = earliest else { return Ok(()) };
        let now = Timestamp::from_millis(self.row.at);
        let retry_after = quota.wait(Timestamp::from_millis(earliest), now);
        Err(StoreError::Rejected(Rejection::RateLimited { rate_quota: quota, retry_after }))
    }
}

/// Returns the digest that identifies a phone within an organization. Phone numbers are few enough
/// to be guessed, but a copy of the database does not contain the number itself.
fn digest(organization: &str, phone: &Phone) -> Vec<u8> {
    let mut digest = Sha256::new_with_prefix(organization);
    digest.update([0]);
    digest.update(phone.as_str());
    digest.finalize().to_vec()
}
