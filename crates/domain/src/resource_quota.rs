//! Resource quotas: limits on the amount that an organization stores.
//!
//! A [`RateQuota`](crate::rate_quota::RateQuota) limits a rate and refills with time. A resource is
//! an amount: creation uses it, deletion frees it.
//!
//! Decision: ADR 0031.

use std::collections::BTreeMap;

use crate::id::OrganizationId;

/// A resource whose amount is limited per organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// Number of sessions that are not deleted.
    Sessions,
    /// Number of API keys that are not revoked.
    ApiKeys,
    /// Number of webhooks.
    Webhooks,
    /// Number of share links, those that ended within the last hour included.
    ShareLinks,
    /// Bytes of recorded responses of requests with an idempotency key.
    IdempotencyRecords,
    /// Bytes of the metadata of all sessions, as JSON without the outer braces.
    Metadata,
}

impl Resource {
    /// Every resource.
    pub const ALL: [Self; 6] = [
        Self::Sessions,
        Self::ApiKeys,
        Self::Webhooks,
        Self::ShareLinks,
        Self::IdempotencyRecords,
        Self::Metadata,
    ];

    /// Returns the stable name, as sent to callers and used in settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::ApiKeys => "api_keys",
            Self::Webhooks => "webhooks",
            Self::ShareLinks => "share_links",
            Self::IdempotencyRecords => "idempotency_records",
            Self::Metadata => "metadata",
        }
    }

    /// Returns the resource with this name, or `None`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|resource| resource.as_str() == text)
    }

    /// Returns the text for callers whose organization has reached the limit. The text names the
    /// remedy.
    pub const fn limit_message(self) -> &'static str {
        match self {
            Self::Sessions => {
                "the organization has as many sessions as it may have; delete some of them first"
            }
            Self::ApiKeys => {
                "the organization has as many API keys as it may have; revoke some of them first"
            }
            Self::Webhooks => {
                "the organization has as many webhooks as it may have; delete some of them first"
            }
            Self::ShareLinks => {
                "the organization has as many share links as it may have; a link counts until an hour \
                 after its end"
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

/// A write would exceed a resource limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResourceLimitReached {
    /// The limited resource.
    pub resource: Resource,
    /// The limit.
    pub limit: u64,
    /// The amount in use before the write.
    pub used: u64,
}

/// Limits per resource. `None` means no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResourceLimits {
    /// Maximum number of sessions.
    pub sessions: Option<u64>,
    /// Maximum number of API keys.
    pub api_keys: Option<u64>,
    /// Maximum number of webhooks.
    pub webhooks: Option<u64>,
    /// Maximum number of share links.
    pub share_links: Option<u64>,
    /// Maximum bytes of recorded responses.
    pub idempotency_records: Option<u64>,
    /// Maximum bytes of metadata.
    pub metadata: Option<u64>,
}

const MIB: u64 = 1024 * 1024;

impl ResourceLimits {
    /// Limits of an organization without settings by the operator.
    pub const DEFAULT: Self = Self {
        sessions: Some(20_000),
        api_keys: Some(1_000),
        webhooks: Some(20),
        share_links: Some(1_000),
        idempotency_records: Some(256 * MIB),
        metadata: Some(64 * MIB),
    };

    /// Returns the limit of a resource. `None` means no limit.
    pub const fn get(&self, resource: Resource) -> Option<u64> {
        match resource {
            Resource::Sessions => self.sessions,
            Resource::ApiKeys => self.api_keys,
            Resource::Webhooks => self.webhooks,
            Resource::ShareLinks => self.share_links,
            Resource::IdempotencyRecords => self.idempotency_records,
            Resource::Metadata => self.metadata,
        }
    }

    /// Checks that a write fits. A write that does not grow the amount is always allowed, even
    /// above a limit that was lowered.
    ///
    /// `used` is the amount after the write, and `grown` is the part that the write adds.
    ///
    /// # Errors
    /// [`ResourceLimitReached`] with the amount before the write.
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

/// Resource limits of all organizations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quotas {
    /// Limits of organizations without an override.
    pub default: ResourceLimits,
    /// Limits of single organizations.
    pub overrides: BTreeMap<OrganizationId, ResourceLimits>,
}

impl Quotas {
    /// Returns the limits of an organization.
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
        assert_eq!(
            limits.admit(Resource::Sessions, 9, 0),
            Ok(()),
            "a write without growth is allowed"
        );
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
