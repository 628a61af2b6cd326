//! A position in the feed of one organization, with the rights and the filter of its owner.

use std::sync::Arc;

use domain::{
    FeedFilter, FeedPosition, FeedRights,
    ports::{PortError, PortResult},
};

use crate::{
    rendered_event::RenderedEvent,
    shared::Shared,
    subscriptions::{RecentRead, Subscription},
};

/// Maximum number of events that one read examines.
const MAX_EVENTS: u32 = 100;
/// Maximum number of bytes of the events that one read returns, except for one larger event. A slow
/// reader holds them while it writes them.
const MAX_BYTES: usize = 64 * 1024;

/// Failures of a read.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// Retention removed events after the reader's position. The reader cannot continue; a new
    /// subscription may begin at the floor.
    #[error("events after the position were removed")]
    Gone,
    /// The store failed. A later call continues at the same position.
    #[error(transparent)]
    Store(#[from] PortError),
}

/// Reads the events that its owner may see and asks for, in the order of their positions.
pub struct FeedReader {
    feed: Arc<Shared>,
    subscription: Subscription,
    rights: FeedRights,
    filter: FeedFilter,
    position: FeedPosition,
}

impl FeedReader {
    pub(crate) fn new(
        feed: Arc<Shared>,
        subscription: Subscription,
        rights: FeedRights,
        filter: FeedFilter,
        position: FeedPosition,
    ) -> Self {
        Self { feed, subscription, rights, filter, position }
    }

    /// Returns the position up to which every selected event was returned. A subscription that
    /// begins there continues without a gap.
    pub fn position(&self) -> FeedPosition {
        self.position
    }

    /// Moves the position to the newest event of the tail if no selected event remains before it,
    /// and returns the position. Reads memory alone.
    pub fn bookmark(&mut self) -> FeedPosition {
        let limit = usize::try_from(MAX_EVENTS).unwrap_or(usize::MAX);
        if let RecentRead::Events { events, until } = self.subscription.read(self.position, limit)
            && self.select(events).is_empty()
        {
            self.position = until;
        }
        self.position
    }

    /// Waits for selected events and returns them, at least one, at most 100 and, except for one larger
    /// event, at most 64 KiB. Cancel safe: an event is returned, or its position is not passed.
    ///
    /// # Errors
    /// See [`FeedError`].
    pub async fn next(&mut self) -> Result<Vec<Arc<RenderedEvent>>, FeedError> {
        loop {
            // Registered before the read, so that no event falls between read and wait.
            let changed = self.subscription.changed();
            let events = self.read_available().await?;
            if !events.is_empty() {
                return Ok(events);
            }
            changed.await;
        }
    }

    /// Returns selected events as [`Self::next`] without waiting. An empty list says that the feed has no
    /// more, and moves the position to its end.
    ///
    /// # Errors
    /// See [`FeedError`].
    pub async fn read_available(&mut self) -> Result<Vec<Arc<RenderedEvent>>, FeedError> {
        let limit = usize::try_from(MAX_EVENTS).unwrap_or(usize::MAX);
        loop {
            let (events, until, complete) = match self.subscription.read(self.position, limit) {
                RecentRead::Events { events, until } => {
                    let complete = events.len() < limit;
                    (self.select(events), until, complete)
                }
                RecentRead::TooFarBack { until } => {
                    let (events, end) = self.read_store(until).await?;
                    (self.select(events), end, end >= until)
                }
                RecentRead::Ahead => {
                    let position = self.lost_position().await?;
                    (Vec::new(), position, position == self.position)
                }
            };
            let (events, until) = within_bytes(events, until);
            self.position = until;
            if complete || !events.is_empty() {
                return Ok(events);
            }
        }
    }

    /// Returns the position of a reader that is ahead of the tail: its own position, or the newest
    /// position if the database lost the commits in between, for example by a failover to a standby
    /// that was behind.
    async fn lost_position(&self) -> PortResult<FeedPosition> {
        let horizon = self.feed.ports.all.horizon().await?;
        if horizon.newest >= self.position {
            return Ok(self.position);
        }
        tracing::warn!(
            position = self.position.number(),
            newest = horizon.newest.number(),
            "event reader is ahead of the database, which lost commits; continuing at its newest event"
        );
        Ok(horizon.safe)
    }

    fn select(&self, events: Vec<Arc<RenderedEvent>>) -> Vec<Arc<RenderedEvent>> {
        let selected = |event: &Arc<RenderedEvent>| {
            let session = event.session.as_ref();
            self.rights.allow(&event.organization, event.name, session)
                && self.filter.matches(event.name, session)
        };
        events.into_iter().filter(selected).collect()
    }

    /// Reads a page of the store; returns its events and its end.
    async fn read_store(
        &self,
        until: FeedPosition,
    ) -> Result<(Vec<Arc<RenderedEvent>>, FeedPosition), FeedError> {
        let feed = &self.feed;
        // First the permit of the organization, so that an organization with many readers has few in
        // the queue that all organizations share. Neither semaphore is ever closed.
        let _own = self.subscription.store_reads().acquire().await;
        let _shared = feed.store_reads.acquire().await;
        metrics::counter!("berth_stream_catch_ups_total").increment(1);
        let store = &feed.ports.organizations;
        let page = store.feed_page(&self.rights, self.position, until, MAX_EVENTS).await?;
        let page = page.ok_or(FeedError::Gone)?;
        let render = |found| RenderedEvent::new(found, &feed.ports.render);
        Ok((page.events.iter().map(render).collect(), page.until))
    }
}

/// Returns the first events that fit into [`MAX_BYTES`], at least one, and their end.
fn within_bytes(
    mut events: Vec<Arc<RenderedEvent>>,
    until: FeedPosition,
) -> (Vec<Arc<RenderedEvent>>, FeedPosition) {
    let mut bytes = 0;
    let fits = |event: &&Arc<RenderedEvent>| {
        bytes += event.bytes();
        bytes <= MAX_BYTES
    };
    let fitting = events.iter().take_while(fits).count().max(1);
    if fitting >= events.len() {
        return (events, until);
    }
    events.truncate(fitting);
    let until = events.last().map_or(until, |last| last.position);
    (events, until)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use domain::{EventId, EventName, OrganizationId};

    use super::*;

    fn event(number: u64, bytes: usize) -> Arc<RenderedEvent> {
        Arc::new(RenderedEvent {
            position: FeedPosition::from_number(number),
            id: EventId::from_bits(number.into()),
            name: EventName::SessionStatus,
            organization: OrganizationId::parse("acme").unwrap(),
            session: None,
            sequence: 0,
            text: Bytes::from(vec![b'x'; bytes]),
        })
    }

    #[test]
    fn read_returns_few_bytes_and_at_least_one_event() {
        let until = FeedPosition::from_number(99);
        let numbers = |sizes: &[usize]| {
            let events = (1..).zip(sizes).map(|(number, bytes)| event(number, *bytes)).collect();
            let (events, until) = within_bytes(events, until);
            (events.len(), until.number())
        };
        assert_eq!(numbers(&[]), (0, 99));
        assert_eq!(numbers(&[30_000, 30_000]), (2, 99));
        assert_eq!(numbers(&[30_000, 30_000, 30_000]), (2, 2));
        assert_eq!(numbers(&[100_000, 10]), (1, 1));
        assert_eq!(numbers(&[100_000]), (1, 99));
    }
}
