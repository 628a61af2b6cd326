//! Resource and rate quotas of the memory store.

use crate::{
    access::Scope,
    commit::Commit,
    id::OrganizationId,
    idempotency::IdempotencyRecord,
    link_attempt::LinkAttempt,
    ports::store::written::Rejection,
    rate_quota::RateQuota,
    resource_quota::Resource,
    testing::memory::{
        state::{MemoryState, count, metadata_bytes},
        webhook_rows::WebhookRows,
    },
    time::Timestamp,
};

impl MemoryState {
    /// Writes the events, the idempotency record and the link attempt of a commit, unless a record
    /// exists already or a quota has no room.
    pub(in crate::testing) fn accept<C>(
        &mut self,
        scope: &Scope,
        grown: &[(Resource, u64)],
        attempt: Option<&LinkAttempt>,
        commit: &Commit<C>,
        now: Timestamp,
    ) -> Result<(), Rejection> {
        let record = commit.idempotency.as_ref();
        self.admit(scope, grown, record, now, attempt)?;
        self.insert_records(scope, record, attempt);
        self.append(&commit.events);
        Ok(())
    }

    /// Checks that no unexpired record with the key hash exists, and that the quotas have room.
    pub(in crate::testing) fn admit(
        &self,
        scope: &Scope,
        grown: &[(Resource, u64)],
        record: Option<&IdempotencyRecord>,
        now: Timestamp,
        attempt: Option<&LinkAttempt>,
    ) -> Result<(), Rejection> {
        if record.is_some_and(|record| self.is_recorded(scope, record, now)) {
            return Err(Rejection::Repeated);
        }
        let recorded = record.map(|record| count(record.response.len()));
        let recorded = recorded.map(|bytes| (Resource::IdempotencyRecords, bytes));
        let organization = scope.organization();
        let limits = self.quotas.limits_of(organization);
        for (resource, grown) in grown.iter().copied().chain(recorded) {
            let used = self.used(organization, resource).saturating_add(grown);
            limits.admit(resource, used, grown).map_err(Rejection::Full)?;
        }
        let limited = attempt.and_then(|attempt| self.limited(organization, attempt));
        limited.map_or(Ok(()), Err)
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
            Resource::Webhooks => {
                let own = |rows: &&WebhookRows| rows.webhook.organization == *organization;
                count(self.webhooks.values().filter(own).count())
            }
            Resource::ShareLinks => {
                let links = self.share_links.values();
                count(links.filter(|link| link.organization == *organization).count())
            }
            Resource::IdempotencyRecords => {
                let own =
                    self.idempotency_records.iter().filter(|((owner, _), _)| owner == organization);
                own.map(|(_, record)| count(record.response.len())).sum()
            }
        }
    }

    fn limited(&self, organization: &OrganizationId, attempt: &LinkAttempt) -> Option<Rejection> {
        let own = |(owner, _): &&(OrganizationId, LinkAttempt)| owner == organization;
        let own: Vec<_> = self.attempts.iter().filter(own).map(|(_, earlier)| earlier).collect();
        let rejection = |rate_quota: RateQuota, counts: &dyn Fn(&LinkAttempt) -> bool| {
            let counted = own.iter().filter(|earlier| counts(earlier));
            let moments: Vec<_> = counted.map(|earlier| earlier.at).collect();
            let retry_after = rate_quota.admit(&moments, attempt.at).err();
            retry_after.map(|retry_after| Rejection::RateLimited { rate_quota, retry_after })
        };
        rejection(attempt.rate_quota, &|earlier| earlier.session == attempt.session)
            .or_else(|| {
                attempt.phone.as_ref()?;
                rejection(attempt.rate_quota, &|earlier| earlier.phone == attempt.phone)
            })
            .or_else(|| rejection(attempt.organization_quota, &|_| true))
    }
}
