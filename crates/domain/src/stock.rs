//! How much an organization may keep.
//!
//! A [`Quota`](crate::Quota) limits how often something is done and refills with time. A stock is what
//! an organization has: it grows with what is made and frees with what is deleted.
//!
//! Decision: ADR 0031.

use std::collections::BTreeMap;

use crate::OrganizationId;

/// What an organization may have only so much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stock {
    /// Sessions that are not deleted.
    Sessions,
    /// API keys that are not revoked.
    ApiKeys,
    /// Bytes of the responses that are recorded for requests with an `Idempotency-Key`.
    IdempotencyRecords,
    /// Bytes of the metadata of all sessions, as JSON without the outer braces.
    Metadata,
}

impl Stock {
    /// Every stock.
    pub const ALL: [Self; 4] =
        [Self::Sessions, Self::ApiKeys, Self::IdempotencyRecords, Self::Metadata];

    /// The name the API uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::ApiKeys => "api_keys",
            Self::IdempotencyRecords => "idempotency_records",
            Self::Metadata => "metadata",
        }
    }

    /// `None` when there is no such stock.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stock| stock.as_str() == text)
    }

    /// What an organization hears that has no room for more.
    pub const fn full(self) -> &'static str {
        match self {
            Self::Sessions => {
                "the organization has as many sessions as it may have; delete some of them first"
            }
            Self::ApiKeys => {
                "the organization has as many API keys as it may have; revoke some of them first"
            }
            Self::IdempotencyRecords => {
                "the organization's recorded responses take as much room as they may; each is removed \
                 when it expires"
            }
            Self::Metadata => {
                "the metadata of the organization's sessions takes as much room as it may; remove some \
                 of it first"
            }
        }
    }
}

/// A stock has no room for what was about to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StockFull {
    /// Which stock.
    pub stock: Stock,
    /// How much of it there may be.
    pub limit: u64,
    /// How much of it there is.
    pub used: u64,
}

/// How much there may be of each stock; `None` for any amount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StockLimits {
    /// Sessions.
    pub sessions: Option<u64>,
    /// API keys.
    pub api_keys: Option<u64>,
    /// Bytes of recorded responses.
    pub idempotency_records: Option<u64>,
    /// Bytes of metadata.
    pub metadata: Option<u64>,
}

const MIB: u64 = 1024 * 1024;

impl StockLimits {
    /// What an organization may have when the operator says nothing.
    pub const USUAL: Self = Self {
        sessions: Some(20_000),
        api_keys: Some(1_000),
        idempotency_records: Some(256 * MIB),
        metadata: Some(64 * MIB),
    };

    /// How much there may be of this stock.
    pub const fn of(&self, stock: Stock) -> Option<u64> {
        match stock {
            Stock::Sessions => self.sessions,
            Stock::ApiKeys => self.api_keys,
            Stock::IdempotencyRecords => self.idempotency_records,
            Stock::Metadata => self.metadata,
        }
    }

    /// The rule: whatever grows must fit afterwards. What does not grow is never refused, also when
    /// there is more of it than there may be since the limit was lowered.
    ///
    /// `used` counts what is about to be written, `grown` is how much of that is new.
    ///
    /// # Errors
    /// [`StockFull`], which tells what was there before.
    pub fn admit(&self, stock: Stock, used: u64, grown: u64) -> Result<(), StockFull> {
        match self.of(stock) {
            Some(limit) if grown > 0 && used > limit => {
                Err(StockFull { stock, limit, used: used.saturating_sub(grown) })
            }
            _ => Ok(()),
        }
    }
}

/// How much each organization may keep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quotas {
    /// What holds for every organization that is not named.
    pub usual: StockLimits,
    /// What holds for these.
    pub own: BTreeMap<OrganizationId, StockLimits>,
}

impl Quotas {
    /// What holds for an organization.
    pub fn of(&self, organization: &OrganizationId) -> StockLimits {
        self.own.get(organization).copied().unwrap_or(self.usual)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_must_fit_and_nothing_else_is_refused() {
        let limits = StockLimits { sessions: Some(3), ..StockLimits::default() };
        assert_eq!(limits.admit(Stock::Sessions, 3, 1), Ok(()));
        let full = StockFull { stock: Stock::Sessions, limit: 3, used: 3 };
        assert_eq!(limits.admit(Stock::Sessions, 4, 1), Err(full));
        assert_eq!(limits.admit(Stock::Sessions, 9, 0), Ok(()), "it shrinks or stays");
        assert_eq!(limits.admit(Stock::ApiKeys, u64::MAX, 1), Ok(()), "without a limit");
    }

    #[test]
    fn an_organization_that_is_named_has_its_own_limits() {
        let [acme, zeta] = ["acme", "zeta"].map(|name| OrganizationId::parse(name).unwrap());
        let own = StockLimits { sessions: Some(1), ..StockLimits::USUAL };
        let quotas = Quotas { usual: StockLimits::USUAL, own: [(acme.clone(), own)].into() };
        assert_eq!(quotas.of(&acme), own);
        assert_eq!(quotas.of(&zeta), StockLimits::USUAL);
    }

    #[test]
    fn every_stock_has_a_name_of_its_own() {
        for stock in Stock::ALL {
            assert_eq!(Stock::parse(stock.as_str()), Some(stock));
        }
        assert_eq!(Stock::parse("rooms"), None);
    }
}
