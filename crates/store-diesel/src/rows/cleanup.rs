//! The table `retirements`, which holds the cleanups of deleted sessions.

use diesel::{
    pg::Pg,
    prelude::*,
    query_builder::AstPass,
    sql_types::{BigInt, Bool, Nullable, Text},
};
use domain::{Cleanup, GatewayId, OrganizationId, SessionId, Timestamp};
use serde::Serialize;

use crate::{
    StoreError,
    rows::{
        bind_params::bind_all,
        column::{actor, actor_columns, from_bigint, parse_optional, to_bigint},
    },
    schema::retirements,
};

/// A row of `retirements`. Column `told` is [`Cleanup::outcome_reported`].
#[derive(Queryable, Selectable, Insertable, Serialize)]
#[diesel(table_name = retirements, treat_none_as_default_value = false)]
pub(crate) struct CleanupRow {
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
    linked: bool,
}

/// The columns that a postponement changes.
#[derive(AsChangeset)]
#[diesel(table_name = retirements)]
pub(crate) struct CleanupPostponement {
    epoch: i64,
    due: i64,
    attempts: i64,
    sequence: i64,
    told: bool,
    linked: bool,
}

impl CleanupPostponement {
    pub(crate) fn new(cleanup: &Cleanup) -> Result<Self, StoreError> {
        Ok(Self {
            epoch: to_bigint("retirements.epoch", cleanup.epoch)?,
            due: cleanup.due.millis(),
            attempts: i64::from(cleanup.attempts),
            sequence: to_bigint("retirements.sequence", cleanup.sequence)?,
            told: cleanup.outcome_reported,
            linked: cleanup.linked,
        })
    }
}

impl CleanupRow {
    pub(crate) fn new(cleanup: &Cleanup) -> Result<Self, StoreError> {
        let (kind, name) = actor_columns(&cleanup.requested_by);
        Ok(Self {
            session: cleanup.session.to_string(),
            organization: cleanup.organization.to_string(),
            gateway: cleanup.gateway.as_ref().map(ToString::to_string),
            epoch: to_bigint("retirements.epoch", cleanup.epoch)?,
            requested_by_kind: kind.to_owned(),
            requested_by_name: name,
            requested_at: cleanup.requested_at.millis(),
            deadline: cleanup.deadline.millis(),
            due: cleanup.due.millis(),
            attempts: i64::from(cleanup.attempts),
            sequence: to_bigint("retirements.sequence", cleanup.sequence)?,
            told: cleanup.outcome_reported,
            linked: cleanup.linked,
        })
    }

    /// Pushes an insert of the row for each row of the statement part `changed`.
    pub(crate) fn insert_where_changed<'b>(
        &'b self,
        mut out: AstPass<'_, 'b, Pg>,
    ) -> QueryResult<()> {
        out.push_sql(
            "INSERT INTO retirements (session, organization, gateway, epoch, requested_by_kind,
                requested_by_name, requested_at, deadline, due, attempts, sequence, told, linked)
                SELECT ",
        );
        bind_all!(
            out,
            Text: &self.session,
            Text: &self.organization,
            Nullable<Text>: &self.gateway,
            BigInt: &self.epoch,
            Text: &self.requested_by_kind,
            Nullable<Text>: &self.requested_by_name,
            BigInt: &self.requested_at,
            BigInt: &self.deadline,
            BigInt: &self.due,
            BigInt: &self.attempts,
            BigInt: &self.sequence,
            Bool: &self.told,
            Bool: &self.linked,
        );
        out.push_sql(" FROM changed");
        Ok(())
    }

    fn cleanup(&self) -> Result<Cleanup, &'static str> {
        Ok(Cleanup {
            session: SessionId::parse(&self.session).ok_or("retirements.session")?,
            organization: OrganizationId::parse(&self.organization)
                .ok_or("retirements.organization")?,
            gateway: parse_optional(self.gateway.as_deref(), GatewayId::parse)
                .ok_or("retirements.gateway")?,
            epoch: from_bigint(self.epoch).ok_or("retirements.epoch")?,
            requested_by: actor(&self.requested_by_kind, self.requested_by_name.as_deref())
                .ok_or("retirements.requested_by_kind")?,
            requested_at: Timestamp::from_millis(self.requested_at),
            deadline: Timestamp::from_millis(self.deadline),
            due: Timestamp::from_millis(self.due),
            attempts: from_bigint(self.attempts).ok_or("retirements.attempts")?,
            sequence: from_bigint(self.sequence).ok_or("retirements.sequence")?,
            outcome_reported: self.told,
            linked: self.linked,
        })
    }
}

impl TryFrom<CleanupRow> for Cleanup {
    type Error = StoreError;

    fn try_from(row: CleanupRow) -> Result<Self, StoreError> {
        row.cleanup().map_err(|column| StoreError::corrupt(column, &row.session))
    }
}
