//! Stores of the feed.

use async_trait::async_trait;

use crate::{
    access::Scope,
    feed::position::{FeedEvent, FeedFloor, FeedHorizon, FeedPage, FeedPosition},
    id::EventId,
    ports::error::PortResult,
};

/// The feed of all organizations. Only the distribution of events to streams and webhooks reads it.
#[async_trait]
pub trait Feed: Send + Sync {
    /// Returns how far the feed can be read.
    async fn horizon(&self) -> PortResult<FeedHorizon>;

    /// Returns the events after `after` and up to `until`, in the order of their positions, at most
    /// `limit`.
    async fn events_of_all(
        &self,
        after: FeedPosition,
        until: FeedPosition,
        limit: u32,
    ) -> PortResult<Vec<FeedEvent>>;
}

/// The feed of one organization.
#[async_trait]
pub trait OrganizationFeed: Send + Sync {
    /// Reads at most `limit` events of the organization after `after` and up to `until`, and returns
    /// those within the reach of the scope. The page ends at `until` when no event remains.
    async fn feed_page(
        &self,
        scope: &Scope,
        after: FeedPosition,
        until: FeedPosition,
        limit: u32,
    ) -> PortResult<FeedPage>;

    /// Returns the position of an event. `None` for an event that was removed, is of another
    /// organization, is out of reach or never existed: one look-up, one answer.
    async fn position_of(&self, scope: &Scope, event: &EventId)
    -> PortResult<Option<FeedPosition>>;

    /// Returns the start of the organization's feed.
    async fn floor(&self, scope: &Scope) -> PortResult<FeedFloor>;
}
