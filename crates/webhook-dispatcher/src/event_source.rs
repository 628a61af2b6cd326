//! Reads events for a webhook: new ones by the feed, others from the store.

use bytes::Bytes;
use domain::{
    Capability, Error, EventLookup, FeedEvent, FeedFilter, FeedPosition, FeedRights,
    OrganizationId, QueuedEvent, Replay, WebhookKey, ports::PortError,
};
use event_feed::{FeedError, FeedReader, RenderedEvent};

use crate::Shared;

/// Maximum number of dead letters that one read examines.
const DEAD_PAGE: u32 = 100;

/// The result of reading a part of a replay.
pub(crate) enum ReplayRead {
    /// Events, and the position up to which these are all.
    Events(Vec<QueuedEvent<Bytes>>, FeedPosition),
    /// Retention removed events up to this position.
    Removed(FeedPosition),
}

/// Returns the rights to read all events of an organization. The selection of a webhook contains
/// the capabilities of its owner.
fn rights(organization: &OrganizationId) -> Result<FeedRights, PortError> {
    let all = Capability::ALL.into_iter().collect();
    let broken = |error: Error| PortError::Broken(error.to_string().into());
    FeedRights::of_organization(organization.clone(), all).map_err(broken)
}

impl Shared {
    /// Subscribes to all events of an organization.
    pub(crate) fn reader(
        &self,
        organization: &OrganizationId,
        after: FeedPosition,
    ) -> Result<FeedReader, PortError> {
        Ok(self.ports.feed.subscribe(rights(organization)?, FeedFilter::default(), after))
    }

    /// Returns the position up to which retention removed events.
    pub(crate) async fn floor(
        &self,
        organization: &OrganizationId,
    ) -> Result<FeedPosition, PortError> {
        Ok(self.ports.feed.floor(&rights(organization)?).await?.position)
    }

    /// Looks up events for a retry queue.
    pub(crate) async fn find_events(
        &self,
        organization: &OrganizationId,
        lookup: &EventLookup,
    ) -> Result<Vec<QueuedEvent<Bytes>>, PortError> {
        let store = &self.ports.store;
        let found = store.events_in(organization, &lookup.range, lookup.limit).await?;
        Ok(found.iter().map(|found| self.queued(found)).collect())
    }

    /// Reads a part of a replay after a position.
    pub(crate) async fn read_replay(
        &self,
        key: &WebhookKey,
        replay: &Replay,
        after: FeedPosition,
    ) -> Result<ReplayRead, PortError> {
        if replay.dead_only {
            let store = &self.ports.store;
            let page = store.dead_events(key, after, replay.until, DEAD_PAGE).await?;
            let events = page.events.iter().map(|found| self.queued(found)).collect();
            return Ok(ReplayRead::Events(events, page.until));
        }
        let mut reader = self.reader(&key.organization, after)?;
        match reader.read_available().await {
            Ok(events) => {
                let within = events.iter().filter(|event| event.position <= replay.until);
                let events = within.map(|event| queued(event)).collect();
                Ok(ReplayRead::Events(events, reader.position().min(replay.until)))
            }
            Err(FeedError::Gone) => Ok(ReplayRead::Removed(self.floor(&key.organization).await?)),
            Err(FeedError::Store(error)) => Err(error),
        }
    }

    fn queued(&self, found: &FeedEvent) -> QueuedEvent<Bytes> {
        let FeedEvent { position, event } = found;
        let body = (self.ports.render)(event);
        QueuedEvent {
            position: *position,
            id: event.id.clone(),
            name: event.name(),
            session: event.session.clone(),
            sequence: event.sequence,
            length: body.len(),
            body,
        }
    }
}

/// Returns an event of the feed for the queue. The text is shared.
pub(crate) fn queued(event: &RenderedEvent) -> QueuedEvent<Bytes> {
    QueuedEvent {
        position: event.position,
        id: event.id.clone(),
        name: event.name,
        session: event.session.clone(),
        sequence: event.sequence,
        length: event.text.len(),
        body: event.text.clone(),
    }
}
