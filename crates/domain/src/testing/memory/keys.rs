//! API key stores in memory.

use std::collections::BTreeSet;

use async_trait::async_trait;

use crate::{
    access::Scope,
    api_key::model::ApiKey,
    event::Event,
    id::{KeyId, SessionId},
    idempotency::IdempotencyRecord,
    ports::{
        authn::PresentedKey,
        error::PortResult,
        store::{
            keys::{ApiKeyStore, KeyDirectory, KeyPage},
            written::Written,
        },
    },
    resource_quota::Resource,
    testing::memory::state::{Memory, require_own_organization},
    time::Timestamp,
};

/// Returns true for a key of the scope's organization that is not revoked.
fn is_active(key: &ApiKey, scope: &Scope) -> bool {
    key.organization == *scope.organization() && key.revoked_at.is_none()
}

#[async_trait]
impl ApiKeyStore for Memory {
    async fn sessions_within(
        &self,
        scope: &Scope,
        sessions: &BTreeSet<SessionId>,
    ) -> PortResult<BTreeSet<SessionId>> {
        let state = self.state()?;
        Ok(sessions.iter().filter(|id| state.visible(scope, id).is_some()).cloned().collect())
    }

    async fn insert(
        &self,
        scope: &Scope,
        key: &ApiKey,
        events: &[Event],
        record: Option<&IdempotencyRecord>,
    ) -> PortResult<Written> {
        let mut state = self.state()?;
        require_own_organization(scope, &key.organization, events)?;
        let grown = [(Resource::ApiKeys, 1)];
        if let Some(refusal) = state.refusal(scope, &grown, record, key.created_at, None) {
            return Ok(refusal);
        }
        state.insert_records(scope, record, None);
        state.keys.insert(key.id.clone(), key.clone());
        state.events.extend_from_slice(events);
        Ok(Written::Done)
    }

    async fn find(&self, scope: &Scope, id: &KeyId) -> PortResult<Option<ApiKey>> {
        let state = self.state()?;
        Ok(state.keys.get(id).filter(|key| is_active(key, scope)).cloned())
    }

    async fn list(&self, scope: &Scope, page: &KeyPage) -> PortResult<Vec<ApiKey>> {
        let state = self.state()?;
        let mut keys: Vec<_> = state
            .keys
            .values()
            .filter(|key| is_active(key, scope))
            .filter(|k| {
                let key = (k.created_at, &k.id);
                page.after.as_ref().is_none_or(|after| key < (after.created_at, &after.id))
            })
            .cloned()
            .collect();
        keys.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
        keys.truncate(usize::try_from(page.limit).unwrap_or(usize::MAX));
        Ok(keys)
    }

    async fn revoke(
        &self,
        scope: &Scope,
        id: &KeyId,
        now: Timestamp,
        events: &[Event],
    ) -> PortResult<Written> {
        let mut state = self.state()?;
        let known = state.keys.get_mut(id).filter(|key| is_active(key, scope));
        let Some(key) = known else { return Ok(Written::Raced) };
        require_own_organization(scope, scope.organization(), events)?;
        key.revoked_at = Some(now);
        state.events.extend_from_slice(events);
        Ok(Written::Done)
    }
}

#[async_trait]
impl KeyDirectory for Memory {
    async fn find(&self, shown: &PresentedKey, now: Timestamp) -> PortResult<Option<ApiKey>> {
        let state = self.state()?;
        let known = state.keys.get(&shown.id);
        Ok(known.filter(|key| key.digest == shown.digest && key.is_valid(now)).cloned())
    }

    async fn record_use(&self, id: &KeyId, at: Timestamp) -> PortResult<()> {
        if let Some(key) = self.state()?.keys.get_mut(id) {
            key.last_used_at = key.last_used_at.max(Some(at));
        }
        Ok(())
    }
}
