//! How much an organization may keep and do, in the memory store.

use super::memory::MemoryState;
use crate::{
    IdempotencyRecord, LinkAttempt, OrganizationId, RateQuota, Resource, Scope, Session, Timestamp,
    ports::{Refusal, Written},
};

/// How much of its organization's stock a session's metadata is.
pub(super) fn metadata_bytes(session: &Session) -> u64 {
    let bytes = |(key, value): (&String, &String)| {
        // As JSON: two texts in quotation marks and a colon, as far as nothing in them is escaped.
        key.len() + value.len() + 5
    };
    let members: Vec<_> = session.settings.metadata.iter().map(bytes).collect();
    let commas = members.len().saturating_sub(1);
    count(members.iter().sum::<usize>() + commas)
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

impl MemoryState {
    /// Why this is not to be written; `None` when it is.
    pub(super) fn refusal(
        &self,
        scope: &Scope,
        grown: &[(Resource, u64)],
        record: Option<&IdempotencyRecord>,
        now: Timestamp,
        attempt: Option<&LinkAttempt>,
    ) -> Option<Written> {
        if record.is_some_and(|record| self.is_recorded(scope, record, now)) {
            return Some(Written::Repeated);
        }
        let recorded = record.map(|record| count(record.response.len()));
        let recorded = recorded.map(|bytes| (Resource::IdempotencyRecords, bytes));
        let organization = scope.organization();
        let limits = self.quotas.limits_of(organization);
        for (resource, grown) in grown.iter().copied().chain(recorded) {
            let used = self.used(organization, resource).saturating_add(grown);
            if let Err(full) = limits.admit(resource, used, grown) {
                return Some(Written::Refused(Refusal::Full(full)));
            }
        }
        let limited = attempt.and_then(|attempt| self.limited(organization, attempt));
        limited.map(Written::Refused)
    }

    /// How much an organization has of a stock.
    pub(super) fn used(&self, organization: &OrganizationId, resource: Resource) -> u64 {
        let sessions = self.sessions.values().filter(|s| s.organization == *organization);
        match resource {
            Resource::Sessions => count(sessions.count()),
            Resource::Metadata => sessions.map(metadata_bytes).sum(),
            Resource::ApiKeys => {
                let live = |key: &&crate::ApiKey| {
                    key.organization == *organization && key.revoked_at.is_none()
                };
                count(self.keys.values().filter(live).count())
            }
            Resource::IdempotencyRecords => {
                let own =
                    self.idempotency_records.iter().filter(|((owner, _), _)| owner == organization);
                own.map(|(_, record)| count(record.response.len())).sum()
            }
        }
    }

    fn limited(&self, organization: &OrganizationId, attempt: &LinkAttempt) -> Option<Refusal> {
        let own = |(owner, _): &&(OrganizationId, LinkAttempt)| owner == organization;
        let own: Vec<_> = self.attempts.iter().filter(own).map(|(_, earlier)| earlier).collect();
        let refusal = |rate_quota: RateQuota, counts: &dyn Fn(&LinkAttempt) -> bool| {
            let counted = own.iter().filter(|earlier| counts(earlier));
            let moments: Vec<_> = counted.map(|earlier| earlier.at).collect();
            let refusal = rate_quota.admit(&moments, attempt.at).err();
            refusal.map(|retry_after| Refusal::Limited { rate_quota, retry_after })
        };
        refusal(attempt.rate_quota, &|earlier| earlier.session == attempt.session)
            .or_else(|| {
                attempt.phone.as_ref()?;
                refusal(attempt.rate_quota, &|earlier| earlier.phone == attempt.phone)
            })
            .or_else(|| refusal(attempt.organization_quota, &|_| true))
    }
}
