//! Store of the rows that remain of an organization after its sessions, keys and webhooks are
//! deleted.

use async_trait::async_trait;

use crate::{id::OrganizationId, ports::error::PortResult};

/// Rows of an organization that are not objects of its callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErasedRows {
    /// Browser sessions of keys, and of persons who act for the organization.
    BrowserSessions,
    /// Revoked and expired API keys.
    ApiKeys,
    /// Recorded responses.
    IdempotencyRecords,
    /// Link attempts, which contain phone numbers.
    LinkAttempts,
    /// Events of the feed and of the audit log.
    Events,
}

impl ErasedRows {
    /// Every kind, in the order of the removal. Each kind is written by objects of the kinds before.
    pub const ALL: [Self; 5] = [
        Self::BrowserSessions,
        Self::ApiKeys,
        Self::IdempotencyRecords,
        Self::LinkAttempts,
        Self::Events,
    ];
}

/// Rows of one organization, for the operator's command that erases the organization.
#[async_trait]
pub trait ErasureStore: Send + Sync {
    /// Returns the number of deleted sessions of an organization whose device is not unlinked yet, and
    /// of sessions whose messages are not removed yet.
    async fn unfinished_deletions(&self, organization: &OrganizationId) -> PortResult<u64>;

    /// Removes at most `limit` rows of a kind, also of keys that are valid; returns the number of
    /// removed rows.
    async fn erase_rows(
        &self,
        organization: &OrganizationId,
        rows: ErasedRows,
        limit: u32,
    ) -> PortResult<u64>;
}
