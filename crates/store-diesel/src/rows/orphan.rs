//! Orphans as rows.

use diesel::prelude::*;
use domain::{GatewayId, Orphan, SessionId, Timestamp};

use crate::{rows::column::from_bigint, schema::orphans};

/// An orphan as a row.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = orphans)]
pub(crate) struct OrphanRow {
    pub(crate) gateway: String,
    pub(crate) session: String,
    pub(crate) epoch: i64,
    pub(crate) since: i64,
    pub(crate) told: bool,
}

impl OrphanRow {
    pub(crate) fn orphan(&self) -> Option<Orphan> {
        Some(Orphan {
            session: SessionId::parse(&self.session)?,
            gateway: GatewayId::parse(&self.gateway)?,
            epoch: from_bigint(self.epoch)?,
            since: Timestamp::from_millis(self.since),
        })
    }
}
