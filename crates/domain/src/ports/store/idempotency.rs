//! Store of idempotency records.

use async_trait::async_trait;

use crate::{
    access::Scope,
    idempotency::{IdempotencyKeyHash, IdempotencyRecord},
    ports::{error::PortResult, store::written::Written},
    resource_quota::ResourceLimitReached,
    time::Timestamp,
};

/// Receipts as those see them who were given one.
#[async_trait]
pub trait IdempotencyStore: Send + Sync {
    /// What is kept in this slot of the organization, unless it has expired by `now`.
    async fn find(
        &self,
        scope: &Scope,
        key_hash: &IdempotencyKeyHash,
        now: Timestamp,
    ) -> PortResult<Option<IdempotencyRecord>>;

    /// [`ResourceLimitReached`] when the organization has no room for one more receipt.
    async fn limit_reached(&self, scope: &Scope) -> PortResult<Option<ResourceLimitReached>>;

    /// Keeps a receipt of something that changed nothing. [`Written::Repeated`] when one is kept
    /// there already that has not expired by `now`; [`Written::Refused`] when there is no room for it.
    async fn record(
        &self,
        scope: &Scope,
        record: &IdempotencyRecord,
        now: Timestamp,
    ) -> PortResult<Written>;

    /// Replaces what is kept in a slot by a later answer to the same request. Nothing happens when
    /// nothing is kept there, or the receipt of another request.
    async fn amend(&self, scope: &Scope, record: &IdempotencyRecord) -> PortResult<()>;
}
