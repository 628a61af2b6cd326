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

use crate::{Database, StoreError, pool::Pools, turns::Turn};

/// What a change adds to an organization's stocks.
#[derive(Default)]
pub(crate) struct Growth(Vec<(Resource, u64)>);

impl Growth {
    pub(crate) fn add(&mut self, stock: Resource, amount: usize) {
        if amount > 0 {
            self.0.push((stock, u64::try_from(amount).unwrap_or(u64::MAX)));
        }
    }

    /// The stocks that grow and are limited.
    pub(crate) fn limited(&self, limits: &ResourceLimits) -> Vec<&'static str> {
        let limited = self.0.iter().filter(|(stock, _)| limits.get(*stock).is_some());
        limited.map(|(stock, _)| stock.as_str()).collect()
    }

    /// The places it takes, for a statement that writes only where there is room.
    pub(crate) fn needs(&self, organization: &str, limits: &ResourceLimits) -> Vec<Need> {
        let need = |(stock, grows): &(Resource, u64)| {
            let most = i64::try_from(limits.get(*stock)?).unwrap_or(i64::MAX);
            let grows = i64::try_from(*grows).unwrap_or(i64::MAX);
            Some(Need { organization: organization.to_owned(), stock: stock.as_str(), grows, most })
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
        for (stock, grown) in &self.0 {
            let row = used.iter().find(|(name, _)| name == stock.as_str());
            let used = row.map_or(0, |(_, used)| u64::try_from(*used).unwrap_or(0));
            let full = |full| StoreError::Refused(Refusal::Full(full));
            limits.admit(*stock, used, *grown).map_err(full)?;
        }
        Ok(())
    }
}

/// How much a change of a session adds to its organization's stock, and how much there may be.
#[derive(Serialize)]
pub(crate) struct Need {
    organization: String,
    stock: &'static str,
    grows: i64,
    most: i64,
}

impl Need {
    /// Nothing but the counts that sessions are part of, which are about to change.
    pub(crate) fn counts(organization: &str) -> [Self; 2] {
        [Resource::Metadata, Resource::Sessions].map(|stock| Self {
            organization: organization.to_owned(),
            stock: stock.as_str(),
            grows: 0,
            most: i64::MAX,
        })
    }
}

/// Undoes the transaction that the connection is in, by an error, when what it added does not fit.
macro_rules! admit {
    ($conn:expr, $owner:expr, $limits:expr, $grown:expr) => {{
        let stocks = $grown.limited(&$limits);
        if !stocks.is_empty() {
            let used: Vec<(String, i64)> = $crate::scope::counts::usage_of(&$owner, &stocks)
                .select(($crate::schema::usage::stock, $crate::schema::usage::used))
                .load($conn)
                .await?;
            $grown.admit(&$limits, &used)?;
        }
    }};
}
pub(crate) use admit;

/// What a change comes to that was undone because it was not to be written.
pub(crate) fn unless_refused(written: Result<Written, StoreError>) -> Result<Written, StoreError> {
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
    pub(crate) async fn turn(&self, organization: &str) -> PortResult<Option<Turn>> {
        match &self.pools {
            Pools::Postgres(pool) => {
                let turn = async { Ok(pool.turns.of(organization).await) };
                self.in_time(turn).await
            }
            // There, everything waits for everything anyhow.
            Pools::Sqlite(_) => Ok(None),
        }
    }
}
