//! Idempotency store in memory.

use async_trait::async_trait;

use crate::{
    access::Scope,
    idempotency::{IdempotencyKeyHash, IdempotencyRecord},
    link_attempt::LinkAttempt,
    ports::{
        error::PortResult,
        store::{idempotency::IdempotencyStore, written::Rejection},
    },
    resource_quota::{Resource, ResourceLimitReached},
    testing::memory::state::{Memory, MemoryState},
    time::Timestamp,
};

impl MemoryState {
    /// Returns true if an unexpired record has the same key hash.
    pub(in crate::testing) fn is_recorded(
        &self,
        scope: &Scope,
        record: &IdempotencyRecord,
        now: Timestamp,
    ) -> bool {
        let key = (scope.organization().clone(), record.key_hash);
        self.idempotency_records.get(&key).is_some_and(|stored| stored.expires_at > now)
    }

    /// Stores the record and the attempt, if present.
    pub(in crate::testing) fn insert_records(
        &mut self,
        scope: &Scope,
        record: Option<&IdempotencyRecord>,
        attempt: Option<&LinkAttempt>,
    ) {
        if let Some(record) = record {
            let key = (scope.organization().clone(), record.key_hash);
            self.idempotency_records.insert(key, record.clone());
        }
        let attempt = attempt.map(|attempt| (scope.organization().clone(), attempt.clone()));
        self.attempts.extend(attempt);
    }
}

#[async_trait]
impl IdempotencyStore for Memory {
    async fn find(
        &self,
        scope: &Scope,
        key_hash: &IdempotencyKeyHash,
        now: Timestamp,
    ) -> PortResult<Option<IdempotencyRecord>> {
        let state = self.state()?;
        let stored = state.idempotency_records.get(&(scope.organization().clone(), *key_hash));
        Ok(stored.filter(|stored| stored.expires_at > now).cloned())
    }

    async fn limit_reached(&self, scope: &Scope) -> PortResult<Option<ResourceLimitReached>> {
        let (state, resource) = (self.state()?, Resource::IdempotencyRecords);
        let used = state.used(scope.organization(), resource);
        let limits = state.quotas.limits_of(scope.organization());
        Ok(limits.admit(resource, used.saturating_add(1), 1).err())
    }

    async fn record(
        &self,
        scope: &Scope,
        record: &IdempotencyRecord,
        now: Timestamp,
    ) -> PortResult<Result<(), Rejection>> {
        let mut state = self.state()?;
        let admitted = state.admit(scope, &[], Some(record), now, None);
        if admitted.is_ok() {
            state.insert_records(scope, Some(record), None);
        }
        Ok(admitted)
    }

    async fn amend(&self, scope: &Scope, record: &IdempotencyRecord) -> PortResult<()> {
        let mut state = self.state()?;
        let stored =
            state.idempotency_records.get_mut(&(scope.organization().clone(), record.key_hash));
        if let Some(stored) = stored.filter(|stored| stored.request == record.request) {
            stored.response.clone_from(&record.response);
        }
        Ok(())
    }
}
