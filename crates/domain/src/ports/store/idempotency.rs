//! Store of idempotency records.

use async_trait::async_trait;

use crate::{
    access::Scope,
    idempotency::{IdempotencyKeyHash, IdempotencyRecord},
    ports::{error::PortResult, store::written::Rejection},
    resource_quota::ResourceLimitReached,
    time::Timestamp,
};

/// Idempotency records of an organization.
#[async_trait]
pub trait IdempotencyStore: Send + Sync {
    /// Returns the record with this key hash, unless it has expired at `now`.
    async fn find(
        &self,
        scope: &Scope,
        key_hash: &IdempotencyKeyHash,
        now: Timestamp,
    ) -> PortResult<Option<IdempotencyRecord>>;

    /// Returns the limit if the organization has no room for another record.
    async fn limit_reached(&self, scope: &Scope) -> PortResult<Option<ResourceLimitReached>>;

    /// Stores a record without a change. Returns [`Rejection::Repeated`] if an unexpired record has
    /// the same key hash, and [`Rejection::Full`] without room.
    async fn record(
        &self,
        scope: &Scope,
        record: &IdempotencyRecord,
        now: Timestamp,
    ) -> PortResult<Result<(), Rejection>>;

    /// Replaces the response of a record with a later response to the same request. Without a
    /// record of the same request, no change is made.
    async fn amend(&self, scope: &Scope, record: &IdempotencyRecord) -> PortResult<()>;
}
