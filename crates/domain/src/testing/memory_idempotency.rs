//! Receipts in the memory store.

use async_trait::async_trait;

use super::{Memory, memory::State};
use crate::{
    IdempotencyKeyHash, IdempotencyRecord, LinkAttempt, Resource, ResourceLimitReached, Scope,
    Timestamp,
    ports::{IdempotencyStore, PortResult, Written},
};

impl State {
    /// Whether a receipt is kept in the slot of this one.
    pub(super) fn is_taken(
        &self,
        scope: &Scope,
        record: &IdempotencyRecord,
        now: Timestamp,
    ) -> bool {
        let place = (scope.organization().clone(), record.key_hash);
        self.idempotency_records.get(&place).is_some_and(|kept| kept.expires_at > now)
    }

    /// Keeps the receipt and the attempt, those that there are.
    pub(super) fn file(
        &mut self,
        scope: &Scope,
        record: Option<&IdempotencyRecord>,
        attempt: Option<&LinkAttempt>,
    ) {
        if let Some(record) = record {
            let place = (scope.organization().clone(), record.key_hash);
            self.idempotency_records.insert(place, record.clone());
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
        let kept = state.idempotency_records.get(&(scope.organization().clone(), *key_hash));
        Ok(kept.filter(|kept| kept.expires_at > now).cloned())
    }

    async fn full(&self, scope: &Scope) -> PortResult<Option<ResourceLimitReached>> {
        let (state, resource) = (self.state()?, Resource::IdempotencyRecords);
        let used = state.used(scope.organization(), resource);
        let limits = state.quotas.of(scope.organization());
        Ok(limits.admit(resource, used.saturating_add(1), 1).err())
    }

    async fn keep(
        &self,
        scope: &Scope,
        record: &IdempotencyRecord,
        now: Timestamp,
    ) -> PortResult<Written> {
        let mut state = self.state()?;
        if let Some(refused) = state.refused(scope, &[], Some(record), now, None) {
            return Ok(refused);
        }
        state.file(scope, Some(record), None);
        Ok(Written::Done)
    }

    async fn amend(&self, scope: &Scope, record: &IdempotencyRecord) -> PortResult<()> {
        let mut state = self.state()?;
        let kept =
            state.idempotency_records.get_mut(&(scope.organization().clone(), record.key_hash));
        if let Some(kept) = kept.filter(|kept| kept.request == record.request) {
            kept.answer.clone_from(&record.answer);
        }
        Ok(())
    }
}
