//! Stores of the feed.

use async_trait::async_trait;

use crate::{
    feed::{
        filter::FeedRights,
        position::{FeedFloor, FeedHorizon, FeedPage, FeedPosition},
    },
    id::EventId,
    ports::error::PortResult,
};

/// The feed of all organizations. Only the distribution of events to streams and webhooks reads it.
#[async_trait]
pub trait Feed: Send + Sync {
    /// Returns how far the feed can be read. `newest` never decreases, unless the database lost
    /// commits, for example by a failover to a standby that was behind. `safe` can decrease for a
    /// moment: a writer reads the newest position before it announces itself. No event appears at or
    /// below a `safe` that was returned once.
    async fn horizon(&self) -> PortResult<FeedHorizon>;

    /// Reads at most `limit` events after `after` and up to `until`. The page ends at `until` when no
    /// event remains.
    async fn page_of_all(
        &self,
        after: FeedPosition,
        until: FeedPosition,
        limit: u32,
    ) -> PortResult<FeedPage>;
}

/// The feed of one organization, as a reader with these rights sees it.
#[async_trait]
pub trait OrganizationFeed: Send + Sync {
    /// Reads at most `limit` events of the organization after `after` and up to `until`, and returns
    /// those that the reader may see. The page ends at `until` when no event remains. `None` if
    /// retention removed events after `after`.
    async fn feed_page(
        &self,
        rights: &FeedRights,
        after: FeedPosition,
        until: FeedPosition,
        limit: u32,
    ) -> PortResult<Option<FeedPage>>;

    /// Returns the position of an event. `None` for an event that was removed, is of another
    /// organization, is hidden from the reader or never existed: one look-up, one answer.
    async fn position_of(
        &self,
        rights: &FeedRights,
        event: &EventId,
    ) -> PortResult<Option<FeedPosition>>;

    /// Returns the start of the organization's feed.
    async fn floor(&self, rights: &FeedRights) -> PortResult<FeedFloor>;
}
