//! Checks the quotas of an organization, within the transaction of the change.

use domain::{
    Quotas, ResourceLimits, Scope,
    ports::{PortResult, Written},
};

use crate::{
    Database, StoreError, database::pools::Pools,
    engine::postgres::organization_permits::TransactionPermit,
};

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

pub(crate) use admit;
