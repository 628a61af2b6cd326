//! Store of deliveries, across organizations.

use std::collections::BTreeSet;

use async_trait::async_trait;

use crate::{
    feed::position::{FeedEvent, FeedPage, FeedPosition},
    id::{OrganizationId, WebhookId},
    ports::error::PortResult,
    time::Timestamp,
    webhook::{
        delivery::{
            lease::{Claimed, DeliveryFlush, LeaseClaim, LeasedWebhook, WebhookKey},
            lookup::LookupRange,
        },
        model::Webhook,
    },
};

/// Deliveries to the webhooks of all organizations, for the dispatcher only.
#[async_trait]
pub trait DeliveryStore: Send + Sync {
    /// Returns up to `limit` webhooks whose events are to be delivered, by id, after this one, and
    /// the id after which the next page begins; `None` for the last page.
    async fn live_webhooks(
        &self,
        after: Option<&WebhookId>,
        limit: u32,
    ) -> PortResult<(Vec<Webhook>, Option<WebhookId>)>;

    /// Returns the webhooks of an organization whose events are to be delivered.
    async fn live_webhooks_of(&self, organization: &OrganizationId) -> PortResult<Vec<Webhook>>;

    /// Examines up to `limit` webhooks in the order of their keys, after this one. Returns those
    /// that are live, have no lease, and are behind the events of their organizations; and the key
    /// after which the next page begins, `None` for the last page.
    async fn behind(
        &self,
        after: Option<&WebhookKey>,
        now: Timestamp,
        limit: u32,
    ) -> PortResult<(Vec<WebhookKey>, Option<WebhookKey>)>;

    /// Returns up to `limit` webhooks without a lease that are due, the earliest first.
    async fn due_webhooks(&self, now: Timestamp, limit: u32) -> PortResult<Vec<WebhookKey>>;

    /// Claims the leases of webhooks: those that are free, and those that this holder lost and nobody
    /// else has. Each claim increments the epoch, and makes the webhook due when the lease ends.
    /// Missing webhooks are not part of the result, nor are unreadable ones.
    async fn claim(&self, claim: &LeaseClaim, keys: &[WebhookKey]) -> PortResult<Vec<Claimed>>;

    /// Returns a webhook with its stored progress.
    async fn leased_webhook(&self, key: &WebhookKey) -> PortResult<Option<LeasedWebhook>>;

    /// Writes changes of different webhooks in one transaction: those of webhooks whose epoch is
    /// still the stored one. Returns the keys of these.
    ///
    /// A position does not decrease. A retry queue keeps the mark to skip its event. A replay moves
    /// or ends only if it is the stored one. The due time that an owner set during the lease stays.
    /// A disablement takes place if the webhook has the given version, together with its event.
    async fn flush(&self, flushes: &[DeliveryFlush]) -> PortResult<BTreeSet<WebhookKey>>;

    /// Returns up to `limit` events of the organization.
    async fn events_in(
        &self,
        organization: &OrganizationId,
        range: &LookupRange,
        limit: u32,
    ) -> PortResult<Vec<FeedEvent>>;

    /// Returns the events of up to `limit` dead letters that were not replayed, after a position and
    /// up to another.
    async fn dead_events(
        &self,
        key: &WebhookKey,
        after: FeedPosition,
        until: FeedPosition,
        limit: u32,
    ) -> PortResult<FeedPage>;
}
