//! What remains of deleted sessions, as rows.

use diesel::prelude::*;
use domain::{GatewayId, OrganizationId, Retirement, SessionId, Timestamp};

use crate::{
    StoreError,
    column::{actor, actor_columns, counted, counter, optional},
    schema::retirements,
};

/// A retirement as a row.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = retirements, treat_none_as_default_value = false)]
pub(crate) struct RetirementRow {
    session: String,
    organization: String,
    gateway: Option<String>,
    epoch: i64,
    requested_by_kind: String,
    requested_by_name: Option<String>,
    requested_at: i64,
    deadline: i64,
    due: i64,
    attempts: i64,
    sequence: i64,
    told: bool,
}

/// What putting one off changes.
#[derive(AsChangeset)]
#[diesel(table_name = retirements)]
pub(crate) struct Postponement {
    epoch: i64,
    due: i64,
    attempts: i64,
    sequence: i64,
    told: bool,
}

impl Postponement {
    pub(crate) fn new(retirement: &Retirement) -> Result<Self, StoreError> {
        Ok(Self {
            epoch: counted("retirements.epoch", retirement.epoch)?,
            due: retirement.due.millis(),
            attempts: i64::from(retirement.attempts),
            sequence: counted("retirements.sequence", retirement.sequence)?,
            told: retirement.told,
        })
    }
}

impl RetirementRow {
    pub(crate) fn new(retirement: &Retirement) -> Result<Self, StoreError> {
        let (kind, name) = actor_columns(&retirement.requested_by);
        Ok(Self {
            session: retirement.session.to_string(),
            organization: retirement.organization.to_string(),
            gateway: retirement.gateway.as_ref().map(ToString::to_string),
            epoch: counted("retirements.epoch", retirement.epoch)?,
            requested_by_kind: kind.to_owned(),
            requested_by_name: name,
            requested_at: retirement.requested_at.millis(),
            deadline: retirement.deadline.millis(),
            due: retirement.due.millis(),
            attempts: i64::from(retirement.attempts),
            sequence: counted("retirements.sequence", retirement.sequence)?,
            told: retirement.told,
        })
    }

    fn retirement(&self) -> Result<Retirement, &'static str> {
        Ok(Retirement {
            session: SessionId::parse(&self.session).ok_or("retirements.session")?,
            organization: OrganizationId::parse(&self.organization)
                .ok_or("retirements.organization")?,
            gateway: optional(self.gateway.as_deref(), GatewayId::parse)
                .ok_or("retirements.gateway")?,
            epoch: counter(self.epoch).ok_or("retirements.epoch")?,
            requested_by: actor(&self.requested_by_kind, self.requested_by_name.as_deref())
                .ok_or("retirements.requested_by_kind")?,
            requested_at: Timestamp::from_millis(self.requested_at),
            deadline: Timestamp::from_millis(self.deadline),
            due: Timestamp::from_millis(self.due),
            attempts: counter(self.attempts).ok_or("retirements.attempts")?,
            sequence: counter(self.sequence).ok_or("retirements.sequence")?,
            told: self.told,
        })
    }
}

impl TryFrom<RetirementRow> for Retirement {
    type Error = StoreError;

    fn try_from(row: RetirementRow) -> Result<Self, StoreError> {
        row.retirement().map_err(|column| StoreError::corrupt(column, &row.session))
    }
}
