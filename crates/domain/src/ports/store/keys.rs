//! Stores of API keys.

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
        store::{position::Position, written::Written},
    },
    time::Timestamp,
};

/// A page of the list of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPage {
    /// Only keys after this position. `None` begins at the newest key.
    pub after: Option<Position<KeyId>>,
    /// Maximum number of keys.
    pub limit: u32,
}

/// API keys of an organization.
#[async_trait]
pub trait ApiKeyStore: Send + Sync {
    /// Returns those of the given sessions that are within the scope.
    async fn sessions_within(
        &self,
        scope: &Scope,
        sessions: &BTreeSet<SessionId>,
    ) -> PortResult<BTreeSet<SessionId>>;

    /// Inserts a key, its events and the idempotency record in one transaction. Never returns
    /// [`Written::Raced`]. Returns [`Written::Refused`] without room for the key or the record.
    async fn insert(
        &self,
        scope: &Scope,
        key: &ApiKey,
        events: &[Event],
        record: Option<&IdempotencyRecord>,
    ) -> PortResult<Written>;

    /// Returns a key of the organization that is not revoked.
    async fn find(&self, scope: &Scope, id: &KeyId) -> PortResult<Option<ApiKey>>;

    /// Returns a page of the organization's keys that are not revoked, newest first: by
    /// `created_at`, then by id, both descending.
    async fn list(&self, scope: &Scope, page: &KeyPage) -> PortResult<Vec<ApiKey>>;

    /// Revokes a key of the organization and writes the events. Returns [`Written::Raced`] if the
    /// key is missing or already revoked.
    async fn revoke(
        &self,
        scope: &Scope,
        id: &KeyId,
        now: Timestamp,
        events: &[Event],
    ) -> PortResult<Written>;
}

/// Lookup of API keys during authentication, before the organization is known.
#[async_trait]
pub trait KeyDirectory: Send + Sync {
    /// Returns the key with this id and digest if it is valid at `now`. An unknown id, a wrong
    /// secret, a revoked key and an expired key are the same miss: no row is found and then
    /// rejected, so that the duration does not tell them apart.
    async fn find(&self, shown: &PresentedKey, now: Timestamp) -> PortResult<Option<ApiKey>>;

    /// Invalidates cached data of the key. A directory without a cache does nothing.
    fn invalidate(&self, _: &KeyId) {}

    /// Records the use of a key. Called outside the path of requests, at most once per minute and
    /// key.
    async fn record_use(&self, id: &KeyId, at: Timestamp) -> PortResult<()>;
}
