//! How much each organization may keep.

use std::collections::BTreeMap;

use domain::{OrganizationId, Quotas, ResourceLimits};

use super::Invalid;
use crate::settings::{Count, Limits, OrganizationQuotas};

/// What holds for every organization, and for those that have a table of their own.
pub(super) fn check(
    limits: &Limits,
    organizations: &BTreeMap<String, OrganizationQuotas>,
) -> Result<Quotas, Invalid> {
    let common = OrganizationQuotas {
        session_quota: limits.session_quota.clone(),
        api_key_quota: limits.api_key_quota.clone(),
        idempotency_quota: limits.idempotency_quota.clone(),
        metadata_quota: limits.metadata_quota.clone(),
    };
    let usual = of(&common, ResourceLimits::DEFAULT, &|name| name.to_owned())?;
    let mut own = BTreeMap::new();
    for (name, table) in organizations {
        let id = OrganizationId::parse(name).ok_or_else(|| {
            let reason = format!("{name:?} is not 1 to 128 bytes without control characters");
            Invalid::setting("organizations", reason)
        })?;
        let limits = of(table, usual, &|setting| format!("{setting} of organization {name:?}"))?;
        own.insert(id, limits);
    }
    Ok(Quotas { default: usual, overrides: own })
}

/// What is given here, and of the rest what is `usual`.
fn of(
    given: &OrganizationQuotas,
    usual: ResourceLimits,
    named: &dyn Fn(&str) -> String,
) -> Result<ResourceLimits, Invalid> {
    let one = |name: &str, given: &Option<Count>, usual, read: fn(&str) -> Option<u64>, what| {
        let Some(Count(text)) = given else { return Ok(usual) };
        match read(text.trim()) {
            Some(0) => Ok(None),
            Some(most) => Ok(Some(most)),
            None => Err(Invalid::setting(&named(name), format!("{text:?} is not {what}"))),
        }
    };
    let count = "a whole number; 0 is any number";
    let bytes = "a size such as 65536, 512KiB, 64MiB or 1GiB; 0 is any size";
    Ok(ResourceLimits {
        sessions: one("session_quota", &given.session_quota, usual.sessions, whole, count)?,
        api_keys: one("api_key_quota", &given.api_key_quota, usual.api_keys, whole, count)?,
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

/// A whole number that a database can hold.
fn whole(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| digits && i64::try_from(*number).is_ok())
}

/// Bytes, with a unit or without.
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
    fn a_size_has_a_unit_or_is_bytes() {
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
