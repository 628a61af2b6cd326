//! The task that reads new events of all organizations and fills the rings.

use std::time::{Duration, Instant};

use domain::{EventPayload, FeedEvent, FeedHorizon, KeyId, ports::PortResult};
use tokio::time::{sleep, timeout};

use crate::{EventFeed, ring::RenderedEvent};

/// Minimum time between two reads.
const MIN_INTERVAL: Duration = Duration::from_millis(5);
/// Maximum number of events of one read.
const MAX_EVENTS: u32 = 1000;
/// Interval of the attempts while the store is unreachable.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);
/// Delay of the feed from which a log line reports it.
const LONG_DELAY: Duration = Duration::from_secs(2);

pub(crate) struct Tail {
    feed: EventFeed,
    /// Whether the events since the newest read were skipped, because nobody listened.
    idle: bool,
    /// The horizon that an open transaction holds back, and since when.
    held_back: Option<(FeedHorizon, Instant)>,
    failing: bool,
}

impl Tail {
    pub(crate) fn new(feed: EventFeed) -> Self {
        Self { feed, idle: true, held_back: None, failing: false }
    }

    /// Fills the rings for ever.
    pub(crate) async fn run(mut self) {
        loop {
            self.wait().await;
            match self.read().await {
                Ok(()) if self.failing => {
                    self.failing = false;
                    tracing::info!("the event feed reads the store again");
                }
                Ok(()) => {}
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    if !std::mem::replace(&mut self.failing, true) {
                        tracing::warn!(error, "the event feed cannot read the store; will retry");
                    }
                    sleep(RETRY_INTERVAL).await;
                }
            }
        }
    }

    async fn wait(&mut self) {
        let shared = &self.feed.0;
        sleep(MIN_INTERVAL).await;
        if shared.rings.has_listeners() {
            let _ = timeout(shared.ports.interval, shared.wake.notified()).await;
        } else {
            self.idle = true;
            shared.wake.notified().await;
        }
    }

    async fn read(&mut self) -> PortResult<()> {
        let shared = self.feed.0.clone();
        let found = shared.ports.all.horizon().await?;
        self.report_delay(found);
        let (horizon, mut position) = (found.safe, shared.rings.position());
        if std::mem::take(&mut self.idle) {
            shared.rings.jump_to(horizon);
            return Ok(());
        }
        if horizon < position {
            tracing::error!(
                position = position.number(),
                horizon = horizon.number(),
                "the database lost committed events; the event feed continues at its newest event"
            );
            shared.rings.jump_to(horizon);
            return Ok(());
        }
        while position < horizon {
            let found = shared.ports.all.events_of_all(position, horizon, MAX_EVENTS).await?;
            let complete = found.len() < usize::try_from(MAX_EVENTS).unwrap_or(usize::MAX);
            position = match found.last() {
                Some(last) if !complete => last.position,
                _ => horizon,
            };
            self.distribute(&found, position);
        }
        Ok(())
    }

    /// Measures for how long an open transaction holds the feed back.
    fn report_delay(&mut self, found: FeedHorizon) {
        let now = Instant::now();
        let held_back = found.safe < found.newest;
        self.held_back = match self.held_back.take() {
            Some((horizon, since)) if held_back && horizon.safe == found.safe => {
                Some((horizon, since))
            }
            _ => held_back.then_some((found, now)),
        };
        let delay = self.held_back.map_or(Duration::ZERO, |(_, since)| now - since);
        metrics::gauge!("berth_feed_behind_seconds").set(delay.as_secs_f64());
        if delay > LONG_DELAY {
            let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(delay_ms, "an open transaction holds back the event feed");
        }
    }

    fn distribute(&self, found: &[FeedEvent], until: domain::FeedPosition) {
        let shared = &self.feed.0;
        let listened = shared.rings.listened(found.iter().map(|it| &it.event.organization));
        let rendered = found.iter().zip(listened).filter(|(_, listened)| *listened);
        let render = |(found, _): (&FeedEvent, bool)| {
            RenderedEvent::new(found, (shared.ports.render)(&found.event))
        };
        shared.rings.push(rendered.map(render).collect(), until);
        for key in found.iter().filter_map(revoked_key) {
            // Nobody listens, or somebody lags and then looks up its key.
            let _ = shared.revoked.send(key);
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
