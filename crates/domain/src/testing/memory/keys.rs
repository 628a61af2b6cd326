//! API key stores in memory.

use std::collections::BTreeSet;

use async_trait::async_trait;

use crate::{
    access::Scope,
    api_key::{model::ApiKey, write::KeyWrite},
    commit::Commit,
    id::{KeyId, SessionId},
    ports::{
        authn::PresentedKey,
        error::PortResult,
        store::{
            keys::{ApiKeyStore, KeyDirectory, KeyPage, KeyValidity},
            written::{CommitOutcome, Written},
        },
    },
    resource_quota::Resource,
    testing::memory::state::{Memory, MemoryState, require_own_organization},
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

    async fn commit(&self, scope: &Scope, commit: &Commit<KeyWrite>) -> PortResult<CommitOutcome> {
        let mut state = self.state()?;
        match &commit.change {
            KeyWrite::Insert(key) => state.insert_key(scope, key, commit),
            KeyWrite::Revoke { id, at } => state.revoke_key(scope, id, *at, commit),
        }
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
}

impl MemoryState {
    fn insert_key(
        &mut self,
        scope: &Scope,
        key: &ApiKey,
        commit: &Commit<KeyWrite>,
    ) -> PortResult<CommitOutcome> {
        require_own_organization(scope, &key.organization, &commit.events)?;
        if self.keys.contains_key(&key.id) {
            return Ok(Ok(Written::Raced));
        }
        let grown = [(Resource::ApiKeys, 1)];
        if let Err(rejection) = self.accept(scope, &grown, None, commit, key.created_at) {
            return Ok(Err(rejection));
        }
        self.keys.insert(key.id.clone(), key.clone());
        Ok(Ok(Written::Done))
    }

    fn revoke_key(
        &mut self,
        scope: &Scope,
        id: &KeyId,
        at: Timestamp,
        commit: &Commit<KeyWrite>,
    ) -> PortResult<CommitOutcome> {
        if !self.keys.get(id).is_some_and(|key| is_active(key, scope)) {
            return Ok(Ok(Written::Raced));
        }
        require_own_organization(scope, scope.organization(), &commit.events)?;
        if let Err(rejection) = self.accept(scope, &[], None, commit, at) {
            return Ok(Err(rejection));
        }
        if let Some(key) = self.keys.get_mut(id) {
            key.revoked_at = Some(at);
        }
        Ok(Ok(Written::Done))
    }
}

#[async_trait]
impl KeyValidity for Memory {
    async fn valid_key(&self, id: &KeyId, now: Timestamp) -> PortResult<Option<ApiKey>> {
        let state = self.state()?;
        Ok(state.keys.get(id).filter(|key| key.is_valid(now)).cloned())
    }

    async fn valid_keys(
        &self,
        ids: &BTreeSet<KeyId>,
        now: Timestamp,
    ) -> PortResult<BTreeSet<KeyId>> {
        let state = self.state()?;
        let is_valid = |id: &&KeyId| state.keys.get(id).is_some_and(|key| key.is_valid(now));
        Ok(ids.iter().filter(is_valid).cloned().collect())
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
