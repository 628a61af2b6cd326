//! How much an organization keeps, and whether there is room for more.
//!
//! The database itself counts, by triggers (migration 0011): nothing that writes can forget to. Whoever
//! makes a count grow holds its row until the end of the transaction, so that the number that is read
//! after the change is exact, and a change that does not fit is undone with its transaction.
//!
//! Decision: ADR 0031.

use diesel::prelude::*;
use domain::{Resource, ResourceLimits, ports::Refusal};
use serde::Serialize;

use crate::{StoreError, schema::usage};

/// How much the organization has of a stock.
#[derive(Queryable, Selectable)]
#[diesel(table_name = usage)]
pub(crate) struct UsageRow {
    pub(crate) used: i64,
}

/// What a change adds to an organization's stocks.
#[derive(Default)]
pub(crate) struct ResourceGrowth(Vec<(Resource, u64)>);

impl ResourceGrowth {
    pub(crate) fn add(&mut self, resource: Resource, amount: usize) {
        if amount > 0 {
            self.0.push((resource, u64::try_from(amount).unwrap_or(u64::MAX)));
        }
    }

    /// The stocks that grow and are limited.
    pub(crate) fn limited(&self, limits: &ResourceLimits) -> Vec<&'static str> {
        let limited = self.0.iter().filter(|(resource, _)| limits.get(*resource).is_some());
        limited.map(|(resource, _)| resource.as_str()).collect()
    }

    /// The places it takes, for a statement that writes only where there is room.
    pub(crate) fn needs(&self, organization: &str, limits: &ResourceLimits) -> Vec<ResourceNeed> {
        let need = |(resource, growth): &(Resource, u64)| {
            let limit = i64::try_from(limits.get(*resource)?).unwrap_or(i64::MAX);
            let growth = i64::try_from(*growth).unwrap_or(i64::MAX);
            Some(ResourceNeed {
                organization: organization.to_owned(),
                resource: resource.as_str(),
                growth,
                limit,
            })
        };
        self.0.iter().filter_map(need).collect()
    }

    /// Whether it fits, by what the stocks are with it.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when it does not.
    pub(crate) fn admit(
        &self,
        limits: &ResourceLimits,
        used: &[(String, i64)],
    ) -> Result<(), StoreError> {
        for (resource, growth) in &self.0 {
            let row = used.iter().find(|(name, _)| name == resource.as_str());
            let used = row.map_or(0, |(_, used)| u64::try_from(*used).unwrap_or(0));
            let full = |full| StoreError::Refused(Refusal::Full(full));
            limits.admit(*resource, used, *growth).map_err(full)?;
        }
        Ok(())
    }
}

/// How much a change of a session adds to its organization's stock, and how much there may be.
#[derive(Serialize)]
pub(crate) struct ResourceNeed {
    organization: String,
    #[serde(rename = "stock")]
    resource: &'static str,
    #[serde(rename = "grows")]
    growth: i64,
    #[serde(rename = "most")]
    limit: i64,
}

impl ResourceNeed {
    /// Nothing but the counts that sessions are part of, which are about to change.
    pub(crate) fn counts(organization: &str) -> [Self; 2] {
        [Resource::Metadata, Resource::Sessions].map(|resource| Self {
            organization: organization.to_owned(),
            resource: resource.as_str(),
            growth: 0,
            limit: i64::MAX,
        })
    }
}
