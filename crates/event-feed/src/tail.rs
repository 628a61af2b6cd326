//! The task that reads new events of all organizations and distributes them.

use std::{sync::Arc, time::Duration};

use domain::{EventPayload, FeedEvent, FeedPosition, KeyId, ports::PortResult};
use tokio::time::{Instant, sleep, timeout};

use crate::{delay::Delay, rendered_event::RenderedEvent, shared::Shared};

/// Minimum time between two reads.
const MIN_INTERVAL: Duration = Duration::from_millis(5);
/// Maximum number of events of one read.
const MAX_EVENTS: u32 = 1000;
/// Interval of the attempts while the store is unreachable.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

pub(crate) struct Tail {
    feed: Arc<Shared>,
    /// Whether the events since the newest read were skipped, because there were no subscribers.
    idle: bool,
    delay: Delay,
    failing: bool,
}

impl Tail {
    pub(crate) fn new(feed: Arc<Shared>) -> Self {
        Self { feed, idle: true, delay: Delay::default(), failing: false }
    }

    /// Distributes events for ever.
    pub(crate) async fn run(mut self) {
        loop {
            self.wait().await;
            match self.read().await {
                Ok(()) if self.failing => {
                    self.failing = false;
                    tracing::info!("event feed reads the database again");
                }
                Ok(()) => {}
                Err(error) => {
                    if !std::mem::replace(&mut self.failing, true) {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            "event feed cannot read the database; retrying"
                        );
                    }
                    self.delay.store_failed(Instant::now());
                    sleep(RETRY_INTERVAL).await;
                }
            }
        }
    }

    async fn wait(&mut self) {
        sleep(MIN_INTERVAL).await;
        if self.feed.has_subscribers() {
            let _ = timeout(self.feed.ports.interval, self.feed.wake.notified()).await;
        } else {
            self.idle = true;
            self.delay.reset();
            self.feed.wake.notified().await;
        }
    }

    async fn read(&mut self) -> PortResult<()> {
        let feed = self.feed.clone();
        let horizon = feed.ports.all.horizon().await?;
        let mut position = feed.subscriptions.position();
        if self.idle {
            self.jump_to(horizon.safe);
            return Ok(());
        }
        if horizon.newest < position {
            tracing::error!(
                position = position.number(),
                newest = horizon.newest.number(),
                "database lost committed events; event feed continues at its newest event"
            );
            self.jump_to(horizon.safe);
            return Ok(());
        }
        while position < horizon.safe {
            let page = feed.ports.all.page_of_all(position, horizon.safe, MAX_EVENTS).await?;
            self.distribute(&page.events, page.until);
            position = page.until;
        }
        self.delay.read(position, horizon.newest, Instant::now());
        Ok(())
    }

    /// Continues at a position whose distance to the previous one is unknown.
    fn jump_to(&mut self, position: FeedPosition) {
        self.idle = false;
        self.feed.subscriptions.jump_to(position);
        self.feed.watchers.add_any();
    }

    fn distribute(&self, found: &[FeedEvent], until: FeedPosition) {
        let feed = &self.feed;
        let subscribed =
            feed.subscriptions.are_subscribed(found.iter().map(|it| &it.event.organization));
        let (selected, others): (Vec<_>, Vec<_>) =
            found.iter().zip(subscribed).partition(|(_, subscribed)| *subscribed);
        let render = |(found, _)| RenderedEvent::new(found, &feed.ports.render);
        let rendered = selected.into_iter().map(render).collect();
        let others = others.iter().map(|(found, _)| &found.event.organization);
        feed.subscriptions.push(rendered, others, until);
        feed.watchers.add(found);
        for key in found.iter().filter_map(revoked_key) {
            // Fails without receivers.
            let _ = feed.revocations.send(key);
        }
    }
}

/// Returns the key that the event revokes.
fn revoked_key(found: &FeedEvent) -> Option<KeyId> {
    match &found.event.payload {
        EventPayload::ApiKeyRevoked { key } => Some(key.clone()),
        _ => None,
    }
}
