//! The feed in memory. The position of an event is its place in the list, from 1.

use async_trait::async_trait;

use crate::{
    access::Scope,
    event::Event,
    feed::position::{FeedEvent, FeedFloor, FeedHorizon, FeedPage, FeedPosition},
    id::EventId,
    ports::{
        error::PortResult,
        store::feed::{Feed, OrganizationFeed},
    },
    testing::memory::state::{Memory, MemoryState, count},
};

impl MemoryState {
    fn feed(&self) -> impl Iterator<Item = FeedEvent> + '_ {
        let positioned = |(index, event): (usize, &Event)| FeedEvent {
            position: FeedPosition::from_number(count(index) + 1),
            event: event.clone(),
        };
        self.events.iter().enumerate().map(positioned)
    }

    fn newest_position(&self) -> FeedPosition {
        FeedPosition::from_number(count(self.events.len()))
    }
}

fn is_visible(scope: &Scope, event: &Event) -> bool {
    event.organization == *scope.organization()
        && match &event.session {
            Some(session) => scope.reach().covers(session),
            None => scope.may_create().is_ok(),
        }
}

#[async_trait]
impl Feed for Memory {
    async fn horizon(&self) -> PortResult<FeedHorizon> {
        let newest = self.state()?.newest_position();
        Ok(FeedHorizon { safe: newest, newest })
    }

    async fn events_of_all(
        &self,
        after: FeedPosition,
        until: FeedPosition,
        limit: u32,
    ) -> PortResult<Vec<FeedEvent>> {
        let state = self.state()?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let within = |found: &FeedEvent| found.position > after && found.position <= until;
        let events = state.feed().filter(within).take(limit).collect();
        Ok(events)
    }
}

#[async_trait]
impl OrganizationFeed for Memory {
    async fn feed_page(
        &self,
        scope: &Scope,
        after: FeedPosition,
        until: FeedPosition,
        limit: u32,
    ) -> PortResult<FeedPage> {
        let state = self.state()?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let within = |found: &FeedEvent| {
            found.event.organization == *scope.organization()
                && found.position > after
                && found.position <= until
        };
        let mut events: Vec<_> = state.feed().filter(within).take(limit).collect();
        let until = match events.last() {
            Some(last) if events.len() == limit => last.position,
            _ => until,
        };
        events.retain(|found| is_visible(scope, &found.event));
        Ok(FeedPage { events, until })
    }

    async fn position_of(
        &self,
        scope: &Scope,
        event: &EventId,
    ) -> PortResult<Option<FeedPosition>> {
        let state = self.state()?;
        let found = state.feed().find(|found| found.event.id == *event);
        Ok(found.filter(|found| is_visible(scope, &found.event)).map(|found| found.position))
    }

    async fn floor(&self, scope: &Scope) -> PortResult<FeedFloor> {
        let state = self.state()?;
        let oldest = state.feed().find(|found| is_visible(scope, &found.event));
        let oldest = oldest.map(|found| found.event.id);
        Ok(FeedFloor { position: FeedPosition::START, oldest })
    }
}
