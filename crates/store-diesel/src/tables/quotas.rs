//! Checks the quotas of an organization in the transaction of the change.
//!
//! Decision: ADR 0031.

use domain::{Quotas, ResourceLimits, Scope, ports::PortResult};

use crate::{
    Database, database::pools::Pools, engine::postgres::organization_permits::TransactionPermit,
};

/// Fails the current transaction when the growth exceeds a limit.
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

impl Database {
    /// Returns the database with limits on the resources of each organization. Without quotas there
    /// is no limit.
    #[must_use]
    pub fn with_quotas(mut self, quotas: Quotas) -> Self {
        self.quotas = quotas.into();
        self
    }

    /// Returns the limits of the scope's organization.
    pub(crate) fn limits(&self, scope: &Scope) -> ResourceLimits {
        self.quotas.limits_of(scope.organization())
    }

    /// Waits for the permission to start a transaction that counts resources; `None` on SQLite.
    pub(crate) async fn transaction_permit(
        &self,
        organization: &str,
    ) -> PortResult<Option<TransactionPermit>> {
        match &self.pools {
            Pools::Postgres(pool) => {
                let acquired = async { Ok(pool.permits.acquire(organization).await) };
                self.within_deadline(acquired).await
            }
            // On SQLite all writes already wait for each other.
            Pools::Sqlite(_) => Ok(None),
        }
    }
}

pub(crate) use admit;
