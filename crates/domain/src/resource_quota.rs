//! How much an organization may keep.
//!
//! A [`RateQuota`](crate::Quota) limits how often something is done and refills with time. A stock is what
//! an organization has: it grows with what is made and frees with what is deleted.
//!
//! Decision: ADR 0031.

use std::collections::BTreeMap;

use crate::OrganizationId;

/// What an organization may have only so much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// Sessions that are not deleted.
    Sessions,
    /// API keys that are not revoked.
    ApiKeys,
    /// Bytes of the responses that are recorded for requests with an `Idempotency-Key`.
    IdempotencyRecords,
    /// Bytes of the metadata of all sessions, as JSON without the outer braces.
    Metadata,
}

impl Resource {
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
        Self::ALL.into_iter().find(|resource| resource.as_str() == text)
    }

    /// What an organization hears that has no room for more.
    pub const fn limit_message(self) -> &'static str {
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
pub struct ResourceLimitReached {
    /// Which stock.
    pub resource: Resource,
    /// How much of it there may be.
    pub limit: u64,
    /// How much of it there is.
    pub used: u64,
}

/// How much there may be of each stock; `None` for any amount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResourceLimits {
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

impl ResourceLimits {
    /// What an organization may have when the operator says nothing.
    pub const DEFAULT: Self = Self {
        sessions: Some(20_000),
        api_keys: Some(1_000),
        idempotency_records: Some(256 * MIB),
        metadata: Some(64 * MIB),
    };

    /// How much there may be of this stock.
    pub const fn get(&self, resource: Resource) -> Option<u64> {
        match resource {
            Resource::Sessions => self.sessions,
            Resource::ApiKeys => self.api_keys,
            Resource::IdempotencyRecords => self.idempotency_records,
            Resource::Metadata => self.metadata,
        }
    }

    /// The rule: whatever grows must fit afterwards. What does not grow is never refused, also when
    /// there is more of it than there may be since the limit was lowered.
    ///
    /// `used` counts what is about to be written, `grown` is how much of that is new.
    ///
    /// # Errors
    /// [`ResourceLimitReached`], which tells what was there before.
    pub fn admit(
        &self,
        resource: Resource,
        used: u64,
        grown: u64,
    ) -> Result<(), ResourceLimitReached> {
        match self.get(resource) {
            Some(limit) if grown > 0 && used > limit => {
                Err(ResourceLimitReached { resource, limit, used: used.saturating_sub(grown) })
            }
            _ => Ok(()),
        }
    }
}

/// How much each organization may keep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quotas {
    /// What holds for every organization that is not named.
    pub default: ResourceLimits,
    /// What holds for these.
    pub overrides: BTreeMap<OrganizationId, ResourceLimits>,
}

impl Quotas {
    /// What holds for an organization.
    pub fn limits_of(&self, organization: &OrganizationId) -> ResourceLimits {
        self.overrides.get(organization).copied().unwrap_or(self.default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_beyond_the_limit_is_rejected() {
        let limits = ResourceLimits { sessions: Some(3), ..ResourceLimits::default() };
        assert_eq!(limits.admit(Resource::Sessions, 3, 1), Ok(()));
        let full = ResourceLimitReached { resource: Resource::Sessions, limit: 3, used: 3 };
        assert_eq!(limits.admit(Resource::Sessions, 4, 1), Err(full));
        assert_eq!(limits.admit(Resource::Sessions, 9, 0), Ok(()), "it shrinks or stays");
        assert_eq!(limits.admit(Resource::ApiKeys, u64::MAX, 1), Ok(()), "without a limit");
    }

    #[test]
    fn override_replaces_default_limits() {
        let [acme, zeta] = ["acme", "zeta"].map(|name| OrganizationId::parse(name).unwrap());
        let overrides = ResourceLimits { sessions: Some(1), ..ResourceLimits::DEFAULT };
        let quotas = Quotas {
            default: ResourceLimits::DEFAULT,
            overrides: [(acme.clone(), overrides)].into(),
        };
        assert_eq!(quotas.limits_of(&acme), overrides);
        assert_eq!(quotas.limits_of(&zeta), ResourceLimits::DEFAULT);
    }

    #[test]
    fn resource_names_round_trip() {
        for resource in Resource::ALL {
            assert_eq!(Resource::parse(resource.as_str()), Some(resource));
        }
        assert_eq!(Resource::parse("rooms"), None);
    }
}
