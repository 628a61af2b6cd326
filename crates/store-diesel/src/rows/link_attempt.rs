//! Attempts at linking: counted in the transaction of the change that begins one, and remembered for as
//! long as they count, also when their session is gone.
//!
//! Decision: ADR 0032.

use diesel::prelude::*;
use domain::{LinkAttempt, Phone, RateQuota, Scope, Timestamp, ports::Refusal};
use sha2::{Digest, Sha256};

use crate::{StoreError, rows::column::to_bigint, schema::link_attempts};

/// An attempt as a row.
#[derive(Insertable)]
#[diesel(table_name = link_attempts, treat_none_as_default_value = false)]
pub(crate) struct LinkAttemptRow {
    organization: String,
    pub(crate) session: String,
    epoch: i64,
    pub(crate) phone: Option<Vec<u8>>,
    at: i64,
}

/// An attempt that begins, and how many there may be.
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

    /// Between which moments attempts count for this quota.
    pub(crate) fn window(&self, quota: RateQuota) -> (i64, i64) {
        let now = Timestamp::from_millis(self.row.at);
        (quota.since(now).millis(), RateQuota::until(now).millis())
    }

    /// Whether it may begin: not when as many as may were begun before. `earliest` was begun first of
    /// those, and the attempt itself comes after them.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when it may not.
    pub(crate) fn admit(&self, quota: RateQuota, earliest: Option<i64>) -> Result<(), StoreError> {
        let Some(earliest) = earliest else { return Ok(()) };
        let now = Timestamp::from_millis(self.row.at);
        let retry_after = quota.wait(Timestamp::from_millis(earliest), now);
        Err(StoreError::Refused(Refusal::Limited { rate_quota: quota, retry_after }))
    }
}

/// A phone is told from others by this. Numbers are few enough to be tried out; but what is left in a copy
/// of the database is not the number itself.
fn digest(organization: &str, phone: &Phone) -> Vec<u8> {
    let mut digest = Sha256::new_with_prefix(organization);
    digest.update([0]);
    digest.update(phone.as_str());
    digest.finalize().to_vec()
}
