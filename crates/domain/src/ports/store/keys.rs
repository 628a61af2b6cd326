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

/// Which API keys to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPage {
    /// Strictly after this one; from the newest when `None`.
    pub after: Option<Position<KeyId>>,
    /// At most so many.
    pub limit: u32,
}

/// API keys as their owners see them.
#[async_trait]
pub trait ApiKeyStore: Send + Sync {
    /// Those of these sessions that are within the scope.
    async fn sessions_within(
        &self,
        scope: &Scope,
        sessions: &BTreeSet<SessionId>,
    ) -> PortResult<BTreeSet<SessionId>>;

    /// A new key, the event that tells of it and the receipt, at once. Never [`Written::Raced`].
    /// [`Written::Refused`] when there is no room for the key or the receipt.
    async fn insert(
        &self,
        scope: &Scope,
        key: &ApiKey,
        events: &[Event],
        record: Option<&IdempotencyRecord>,
    ) -> PortResult<Written>;

    /// One of the organization's keys, if it was not revoked.
    async fn find(&self, scope: &Scope, id: &KeyId) -> PortResult<Option<ApiKey>>;

    /// The organization's keys that were not revoked, newest first: by `created_at`, then by id, both
    /// descending.
    async fn list(&self, scope: &Scope, page: &KeyPage) -> PortResult<Vec<ApiKey>>;

    /// Revokes a key of the organization, with the events. [`Written::Raced`] when there is no such key
    /// or it was revoked before.
    async fn revoke(
        &self,
        scope: &Scope,
        id: &KeyId,
        now: Timestamp,
        events: &[Event],
    ) -> PortResult<Written>;
}

/// API keys as the door looks them up: by what is shown of one, before it is known who is asking.
#[async_trait]
pub trait KeyDirectory: Send + Sync {
    /// The key of this name and digest, if it is good at `now`. An unknown one, a wrong secret, a
    /// revoked and an expired key are one miss: none of them is found and then refused, so that they
    /// cannot be told apart by how long that takes.
    async fn find(&self, shown: &PresentedKey, now: Timestamp) -> PortResult<Option<ApiKey>>;

    /// Whatever was remembered of the key is not to be trusted any more. Nothing to do for a directory
    /// that remembers nothing.
    fn invalidate(&self, _: &KeyId) {}

    /// Notes that the key was used. Not on a request's path, and at most once a minute a key.
    async fn record_use(&self, id: &KeyId, at: Timestamp) -> PortResult<()>;
}
