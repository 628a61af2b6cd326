//! The feed in memory.

use async_trait::async_trait;

use crate::{
    feed::{
        filter::FeedRights,
        position::{FeedEvent, FeedFloor, FeedHorizon, FeedPage, FeedPosition},
    },
    id::EventId,
    ports::{
        error::PortResult,
        store::feed::{Feed, OrganizationFeed},
    },
    testing::memory::state::{Memory, MemoryState},
};

impl MemoryState {
    fn floor(&self, rights: &FeedRights) -> FeedPosition {
        self.floors.get(rights.scope().organization()).copied().unwrap_or_default()
    }

    /// Returns a page of the selected events.
    fn feed_page(
        &self,
        after: FeedPosition,
        until: FeedPosition,
        limit: u32,
        selected: impl Fn(&FeedEvent) -> bool,
    ) -> FeedPage {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let within = |found: &&FeedEvent| found.position > after && found.position <= until;
        let found = self.events.iter().filter(within).filter(|found| selected(found));
        let shown = |found: &FeedEvent| FeedEvent {
            position: found.position,
            event: self.with_content(found.event.clone()),
        };
        let events: Vec<_> = found.take(limit).map(shown).collect();
        let until = match events.last() {
            Some(last) if events.len() == limit => last.position,
            _ => until,
        };
        FeedPage { events, until }
    }

    /// Returns the events after the organization's floor that the reader may see.
    fn visible_events<'a>(&'a self, rights: &'a FeedRights) -> impl Iterator<Item = &'a FeedEvent> {
        let floor = self.floor(rights);
        self.events.iter().filter(move |found| found.position > floor && is_visible(rights, found))
    }
}

fn is_visible(rights: &FeedRights, found: &FeedEvent) -> bool {
    let event = &found.event;
    rights.allow(&event.organization, event.name(), event.session.as_ref())
}

#[async_trait]
impl Feed for Memory {
    async fn horizon(&self) -> PortResult<FeedHorizon> {
        let newest = self.state()?.newest_position;
        Ok(FeedHorizon { safe: newest, newest })
    }

    async fn page_of_all(
        &self,
        after: FeedPosition,
        until: FeedPosition,
        limit: u32,
    ) -> PortResult<FeedPage> {
        Ok(self.state()?.feed_page(after, until, limit, |_| true))
    }
}

#[async_trait]
impl OrganizationFeed for Memory {
    async fn feed_page(
        &self,
        rights: &FeedRights,
        after: FeedPosition,
        until: FeedPosition,
        limit: u32,
    ) -> PortResult<Option<FeedPage>> {
        let state = self.state()?;
        if after < state.floor(rights) {
            return Ok(None);
        }
        let own = |found: &FeedEvent| found.event.organization == *rights.scope().organization();
        let mut page = state.feed_page(after, until, limit, own);
        page.events.retain(|found| is_visible(rights, found));
        Ok(Some(page))
    }

    async fn position_of(
        &self,
        rights: &FeedRights,
        event: &EventId,
    ) -> PortResult<Option<FeedPosition>> {
        let state = self.state()?;
        let found = state.visible_events(rights).find(|found| found.event.id == *event);
        Ok(found.map(|found| found.position))
    }

    async fn floor(&self, rights: &FeedRights) -> PortResult<FeedFloor> {
        let state = self.state()?;
        let oldest = state.visible_events(rights).next().map(|found| found.event.id.clone());
        Ok(FeedFloor { position: state.floor(rights), oldest })
    }
}
