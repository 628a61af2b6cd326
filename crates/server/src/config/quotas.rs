//! Checks the quotas of organizations.

use std::collections::BTreeMap;

use domain::{OrganizationId, Quotas, ResourceLimits};

use crate::{
    invalid::Invalid,
    settings::{Count, Limits, OrganizationQuotas},
};

/// Returns the quotas of all organizations, and of those with a table of their own.
pub(super) fn check(
    limits: &Limits,
    organizations: &BTreeMap<String, OrganizationQuotas>,
) -> Result<Quotas, Invalid> {
    let common = OrganizationQuotas {
        session_quota: limits.session_quota.clone(),
        api_key_quota: limits.api_key_quota.clone(),
        webhook_quota: limits.webhook_quota.clone(),
        share_link_quota: limits.share_link_quota.clone(),
        idempotency_quota: limits.idempotency_quota.clone(),
        metadata_quota: limits.metadata_quota.clone(),
        return_origins: None,
    };
    let usual = limits_of(&common, ResourceLimits::DEFAULT, &|name| name.to_owned())?;
    let mut own = BTreeMap::new();
    for (name, table) in organizations {
        let id = OrganizationId::parse(name).ok_or_else(|| {
            let reason = format!("{name:?} is not 1 to 128 bytes without control characters");
            Invalid::setting("organizations", reason)
        })?;
        let limits =
            limits_of(table, usual, &|setting| format!("{setting} of organization {name:?}"))?;
        own.insert(id, limits);
    }
    Ok(Quotas { default: usual, overrides: own })
}

/// Returns the given limits; missing ones are those of `usual`. `named` names a setting in errors.
fn limits_of(
    given: &OrganizationQuotas,
    usual: ResourceLimits,
    named: &dyn Fn(&str) -> String,
) -> Result<ResourceLimits, Invalid> {
    let one = |name: &str, given: &Option<Count>, usual, read: fn(&str) -> Option<u64>, what| {
        let Some(Count(text)) = given else { return Ok(usual) };
        match read(text.trim()) {
            Some(0) => Ok(None),
            Some(limit) => Ok(Some(limit)),
            None => Err(Invalid::setting(&named(name), format!("{text:?} is not {what}"))),
        }
    };
    let count = "a whole number; 0 is any number";
    let bytes = "a size such as 65536, 512KiB, 64MiB or 1GiB; 0 is any size";
    Ok(ResourceLimits {
        sessions: one("session_quota", &given.session_quota, usual.sessions, whole, count)?,
        api_keys: one("api_key_quota", &given.api_key_quota, usual.api_keys, whole, count)?,
        webhooks: one("webhook_quota", &given.webhook_quota, usual.webhooks, whole, count)?,
        share_links: one(
            "share_link_quota",
            &given.share_link_quota,
            usual.share_links,
            whole,
            count,
        )?,
        idempotency_records: one(
            "idempotency_quota",
            &given.idempotency_quota,
            usual.idempotency_records,
            size,
            bytes,
        )?,
        metadata: one("metadata_quota", &given.metadata_quota, usual.metadata, size, bytes)?,
    })
}

/// Parses a whole number that fits into an `i64`, the type of the database column.
fn whole(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| digits && i64::try_from(*number).is_ok())
}

/// Parses a number of bytes with an optional unit.
fn size(text: &str) -> Option<u64> {
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    let unit = units.into_iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, bytes)));
    let (number, bytes) = unit.unwrap_or((text, 1));
    whole(number.trim_end())?.checked_mul(bytes).filter(|size| i64::try_from(*size).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_has_a_unit_or_is_in_bytes() {
        for (text, bytes) in
            [("0", 0), ("65536", 65_536), ("2KiB", 2048), ("64MiB", 64 << 20), ("1 GiB", 1 << 30)]
        {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        for text in ["", "MiB", "-1", "+1", "1.5MiB", "64MB", "64mib", "9999999999GiB"] {
            assert_eq!(size(text), None, "{text}");
        }
    }
}
