//! Stores of API keys.

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
        store::{position::Position, written::CommitOutcome},
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

    /// Writes the change, its events and the idempotency record in one transaction. Returns
    /// [`Written::Raced`] if an inserted key exists, or if a revoked key is missing or already
    /// revoked; and [`Rejection::Full`] without room for the key or the record.
    ///
    /// [`Written::Raced`]: crate::ports::Written::Raced
    /// [`Rejection::Full`]: crate::ports::Rejection::Full
    async fn commit(&self, scope: &Scope, commit: &Commit<KeyWrite>) -> PortResult<CommitOutcome>;

    /// Returns a key of the organization that is not revoked.
    async fn find(&self, scope: &Scope, id: &KeyId) -> PortResult<Option<ApiKey>>;

    /// Returns a page of the organization's keys that are not revoked, newest first: by
    /// `created_at`, then by id, both descending.
    async fn list(&self, scope: &Scope, page: &KeyPage) -> PortResult<Vec<ApiKey>>;
}

/// Lookup of API keys by id alone, across organizations, for callers that have proved the
/// possession of their key: an open stream, or a ticket. Never answered from a cache.
#[async_trait]
pub trait KeyValidity: Send + Sync {
    /// Returns the key if it is valid at `now`.
    async fn valid_key(&self, id: &KeyId, now: Timestamp) -> PortResult<Option<ApiKey>>;

    /// Returns those of the keys that are valid at `now`, in one read.
    async fn valid_keys(
        &self,
        ids: &BTreeSet<KeyId>,
        now: Timestamp,
    ) -> PortResult<BTreeSet<KeyId>>;
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
