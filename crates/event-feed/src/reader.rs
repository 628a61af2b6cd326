//! A position in the feed of one organization, with the rights and the filter of its owner.

use std::sync::Arc;

use domain::{FeedFilter, FeedPosition, FeedRights, ports::PortResult};

use crate::{
    ring::RenderedEvent,
    rings::{Listener, RingRead},
};

/// Maximum number of events that one read examines.
const MAX_EVENTS: u32 = 500;

/// Reads the events that its owner may see and asks for, in the order of their positions.
pub struct FeedReader {
    listener: Listener,
    rights: FeedRights,
    filter: FeedFilter,
    position: FeedPosition,
}

impl FeedReader {
    pub(crate) fn new(
        listener: Listener,
        rights: FeedRights,
        filter: FeedFilter,
        position: FeedPosition,
    ) -> Self {
        Self { listener, rights, filter, position }
    }

    /// Returns the position up to which every selected event was returned.
    pub fn position(&self) -> FeedPosition {
        self.position
    }

    /// Waits for selected events and returns them. Cancel safe: events are returned or their
    /// position is not passed.
    ///
    /// # Errors
    /// Those of the store. A later call continues at the same position.
    pub async fn next(&mut self) -> PortResult<Vec<Arc<RenderedEvent>>> {
        loop {
            // Registered before the read, so that no event falls between read and wait.
            let changed = self.listener.changed();
            let events = self.read_available().await?;
            if !events.is_empty() {
                return Ok(events);
            }
            changed.await;
        }
    }

    /// Returns selected events without waiting, in portions. An empty list says that the feed has no
    /// more, and moves the position to its end.
    ///
    /// # Errors
    /// Those of the store. A later call continues at the same position.
    pub async fn read_available(&mut self) -> PortResult<Vec<Arc<RenderedEvent>>> {
        loop {
            let limit = usize::try_from(MAX_EVENTS).unwrap_or(usize::MAX);
            let (events, until, complete) = match self.listener.read(self.position, limit) {
                RingRead::Events { events, until } => {
                    let complete = events.len() < limit;
                    (self.select(events), until, complete)
                }
                RingRead::TooFarBack { until } => {
                    let (events, end) = self.read_store(until).await?;
                    (self.select(events), end, end >= until)
                }
            };
            self.position = until;
            if complete || !events.is_empty() {
                return Ok(events);
            }
        }
    }

    fn select(&self, events: Vec<Arc<RenderedEvent>>) -> Vec<Arc<RenderedEvent>> {
        let selected = |event: &Arc<RenderedEvent>| {
            let session = event.session.as_ref();
            self.rights.allow(&event.organization, event.name, session)
                && self.filter.matches(event.name, session)
        };
        events.into_iter().filter(selected).collect()
    }

    async fn read_store(
        &self,
        until: FeedPosition,
    ) -> PortResult<(Vec<Arc<RenderedEvent>>, FeedPosition)> {
        let shared = &self.listener.feed().0;
        // The semaphore is never closed.
        let _permit = shared.catch_up.acquire().await;
        metrics::counter!("berth_stream_catch_ups_total").increment(1);
        let (organizations, scope) = (&shared.ports.organizations, self.rights.scope());
        let page = organizations.feed_page(scope, self.position, until, MAX_EVENTS).await?;
        let render = |found: &domain::FeedEvent| {
            Arc::new(RenderedEvent::new(found, (shared.ports.render)(&found.event)))
        };
        Ok((page.events.iter().map(render).collect(), page.until))
    }
}
