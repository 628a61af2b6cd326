//! How much an organization keeps, and whether there is room for more.
//!
//! The database itself counts, by triggers (migration 0011): nothing that writes can forget to. Whoever
//! makes a count grow holds its row until the end of the transaction, so that the number that is read
//! after the change is exact, and a change that does not fit is undone with its transaction.
//!
//! Decision: ADR 0031.

use domain::{
    Quotas, Resource, ResourceLimits, Scope,
    ports::{PortResult, Refusal, Written},
};
use serde::Serialize;

use crate::{Database, StoreError, pool::Pools, turns::TransactionPermit};

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

/// Undoes the transaction that the connection is in, by an error, when what it added does not fit.
macro_rules! admit {
    ($conn:expr, $params:expr, $limits:expr, $growth:expr) => {{
        let resources = $growth.limited(&$limits);
        if !resources.is_empty() {
            let used: Vec<(String, i64)> = $crate::scope::counts::usage_of(&$params, &resources)
                .select(($crate::schema::usage::stock, $crate::schema::usage::used))
                .load($conn)
                .await?;
            $growth.admit(&$limits, &used)?;
        }
    }};
}
pub(crate) use admit;

/// What a change comes to that was undone because it was not to be written.
pub(crate) fn refusal_as_written(
    written: Result<Written, StoreError>,
) -> Result<Written, StoreError> {
    match written {
        Err(StoreError::Repeated) => Ok(Written::Repeated),
        Err(StoreError::Refused(refusal)) => Ok(Written::Refused(refusal)),
        written => written,
    }
}

impl Database {
    /// The same database, which keeps no more than this for an organization. Without it, any amount.
    #[must_use]
    pub fn with_quotas(mut self, quotas: Quotas) -> Self {
        self.quotas = quotas.into();
        self
    }

    /// How much the scope's organization may keep.
    pub(crate) fn limits(&self, scope: &Scope) -> ResourceLimits {
        self.quotas.limits_of(scope.organization())
    }

    /// Waits until a transaction that may wait for the organization's others may take a connection.
    pub(crate) async fn transaction_permit(
        &self,
        organization: &str,
    ) -> PortResult<Option<TransactionPermit>> {
        match &self.pools {
            Pools::Postgres(pool) => {
                let acquired = async { Ok(pool.permits.acquire(organization).await) };
                self.within_deadline(acquired).await
            }
            // There, everything waits for everything anyhow.
            Pools::Sqlite(_) => Ok(None),
        }
    }
}
