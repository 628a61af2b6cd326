//! Resource and rate quotas of the memory store.

use crate::{
    access::Scope,
    id::OrganizationId,
    idempotency::IdempotencyRecord,
    link_attempt::LinkAttempt,
    ports::store::written::{Refusal, Written},
    rate_quota::RateQuota,
    resource_quota::Resource,
    testing::memory::state::{MemoryState, count, metadata_bytes},
    time::Timestamp,
};

impl MemoryState {
    /// Returns the outcome of a write that must not happen. `None` admits the write.
    pub(in crate::testing) fn refusal(
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

    /// Returns the used amount of a resource.
    pub(in crate::testing) fn used(
        &self,
        organization: &OrganizationId,
        resource: Resource,
    ) -> u64 {
        let sessions = self.sessions.values().filter(|s| s.organization == *organization);
        match resource {
            Resource::Sessions => count(sessions.count()),
            Resource::Metadata => sessions.map(metadata_bytes).sum(),
            Resource::ApiKeys => {
                let live = |key: &&crate::api_key::model::ApiKey| {
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
