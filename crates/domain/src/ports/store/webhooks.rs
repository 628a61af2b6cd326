//! Store of webhooks for their owners.

use async_trait::async_trait;

use crate::{
    access::Scope,
    commit::Commit,
    feed::position::FeedPosition,
    id::{AttemptId, EventId, WebhookId},
    ports::{
        error::PortResult,
        store::{position::Position, written::CommitOutcome},
    },
    time::Timestamp,
    webhook::{
        attempt::AttemptRecord, dead_letter::DeadLetter, model::Webhook, progress::ProgressReport,
        write::WebhookWrite,
    },
};

/// A page of a list that belongs to a webhook, or of the list of webhooks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookPage<Id> {
    /// Only entries after this position. `None` begins at the newest entry.
    pub after: Option<Position<Id>>,
    /// Maximum number of entries.
    pub limit: u32,
}

/// Webhooks of an organization. Every statement contains the organization of the scope. Webhooks
/// are for callers with a reach over the whole organization.
#[async_trait]
pub trait WebhookStore: Send + Sync {
    /// Writes the change, its events and the idempotency record in one transaction. Returns
    /// [`Written::Raced`] if an inserted webhook exists; if an updated or deleted webhook is missing
    /// or has another version; if a replay is in progress; and if a dead letter or a failing event
    /// is missing. Returns [`Rejection::Full`] without room for the webhook or the record.
    ///
    /// [`Written::Raced`]: crate::ports::Written::Raced
    /// [`Rejection::Full`]: crate::ports::Rejection::Full
    async fn commit(
        &self,
        scope: &Scope,
        commit: &Commit<WebhookWrite>,
    ) -> PortResult<CommitOutcome>;

    /// Returns a webhook of the organization.
    async fn find(&self, scope: &Scope, id: &WebhookId) -> PortResult<Option<Webhook>>;

    /// Returns a page of the webhooks, newest first: by `created_at`, then by id, both descending.
    async fn list(&self, scope: &Scope, page: &WebhookPage<WebhookId>) -> PortResult<Vec<Webhook>>;

    /// Returns the progress of a webhook.
    async fn progress(&self, scope: &Scope, id: &WebhookId) -> PortResult<Option<ProgressReport>>;

    /// Returns a page of the attempts, newest first: by `at`, then by id, both descending.
    async fn attempts(
        &self,
        scope: &Scope,
        id: &WebhookId,
        page: &WebhookPage<AttemptId>,
    ) -> PortResult<Vec<AttemptRecord>>;

    /// Returns a page of the dead letters, newest first: by `died_at`, then by event, both
    /// descending. `created_at` of the position is `died_at`.
    async fn dead_letters(
        &self,
        scope: &Scope,
        id: &WebhookId,
        page: &WebhookPage<EventId>,
    ) -> PortResult<Vec<DeadLetter>>;

    /// Returns the position of the organization's first event, by id, that was created at `from` or
    /// later. `None` without such an event.
    async fn first_position(
        &self,
        scope: &Scope,
        from: Timestamp,
    ) -> PortResult<Option<FeedPosition>>;
}
