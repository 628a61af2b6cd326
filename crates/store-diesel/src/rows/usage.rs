//! The table `usage`: stored amounts of resources, and the growth that a change causes.
//!
//! Triggers of the database maintain the counts (migration 0011), so no write can omit them. A
//! change that increases a count locks its row until the end of the transaction. So the value read
//! after the change is exact, and a change that exceeds its limit is rolled back with its
//! transaction.
//!
//! Decision: ADR 0031.

use diesel::prelude::*;
use domain::{Resource, ResourceLimits, ports::Rejection};
use serde::Serialize;

use crate::{StoreError, schema::usage};

/// The stored amount of one resource.
#[derive(Queryable, Selectable)]
#[diesel(table_name = usage)]
pub(crate) struct UsageRow {
    pub(crate) used: i64,
}

/// The amounts that a change adds to the resources of an organization.
#[derive(Default)]
pub(crate) struct ResourceGrowth(Vec<(Resource, u64)>);

impl ResourceGrowth {
    pub(crate) fn add(&mut self, resource: Resource, amount: usize) {
        if amount > 0 {
            self.0.push((resource, u64::try_from(amount).unwrap_or(u64::MAX)));
        }
    }

    /// Returns the names of the resources that grow and have a limit.
    pub(crate) fn limited(&self, limits: &ResourceLimits) -> Vec<&'static str> {
        let limited = self.0.iter().filter(|(resource, _)| limits.get(*resource).is_some());
        limited.map(|(resource, _)| resource.as_str()).collect()
    }

    /// Returns the growth of each limited resource, for a statement that checks the limits.
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

    /// Checks the limits, with the stored amounts after the change.
    ///
    /// # Errors
    /// [`StoreError::Rejected`] when a limit is exceeded.
    pub(crate) fn admit(
        &self,
        limits: &ResourceLimits,
        used: &[(String, i64)],
    ) -> Result<(), StoreError> {
        for (resource, growth) in &self.0 {
            let row = used.iter().find(|(name, _)| name == resource.as_str());
            let used = row.map_or(0, |(_, used)| u64::try_from(*used).unwrap_or(0));
            let full = |full| StoreError::Rejected(Rejection::Full(full));
            limits.admit(*resource, used, *growth).map_err(full)?;
        }
        Ok(())
    }
}

/// The growth of one resource and its limit. The serialized names are the column names of the
/// statement in [`session_writes`](crate::batch::session_writes).
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
    /// Returns entries without growth for the resources that a change of a session may affect, so
    /// that the statement locks their rows.
    pub(crate) fn counts(organization: &str) -> [Self; 2] {
        [Resource::Metadata, Resource::Sessions].map(|resource| Self {
            organization: organization.to_owned(),
            resource: resource.as_str(),
            growth: 0,
            limit: i64::MAX,
        })
    }
}
