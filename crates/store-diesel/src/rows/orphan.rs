//! The table `orphans`.
//!
//! Decision: ADR 0035.

use diesel::prelude::*;
use domain::{GatewayId, Orphan, SessionId, Timestamp};

use crate::{rows::column::from_bigint, schema::orphans};

/// A row of `orphans`. Column `told`: the orphan was held at two consecutive checks and is
/// reported.
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
