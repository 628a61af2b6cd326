//! Reading of events: new ones, those of a replay, and those of retry queues.

use domain::{EventName, FeedPosition, Pass, Timestamp};
use event_feed::{FeedError, FeedReader, RenderedEvent};
use std::sync::Arc;
use tokio::time::Instant;

use super::{DeliveryTask, FinishedLookup, FinishedReplayRead, PAUSE, report};
use crate::{
    directory::changes_webhooks,
    event_source::{ReplayRead, queued},
};

impl DeliveryTask {
    /// Begins look-ups and a read of the replay, if they are needed.
    pub(super) fn begin_reads(&mut self, now: Timestamp) {
        if self.is_stopping() || self.read_from > Instant::now() {
            return;
        }
        while let Some(lookup) = self.deliveries.next_lookup(now) {
            let (shared, organization) = (self.shared.clone(), self.key.organization.clone());
            self.lookups.spawn(async move {
                let found = shared.find_events(&organization, &lookup).await;
                FinishedLookup { lookup, found }
            });
        }
        if self.replay_reads.is_empty()
            && self.wants_events(Pass::Replay, now)
            && let (Some(replay), Some(after)) =
                (self.deliveries.replay().cloned(), self.deliveries.scanned(Pass::Replay))
        {
            let (shared, key) = (self.shared.clone(), self.key.clone());
            self.replay_reads.spawn(async move {
                let read = shared.read_replay(&key, &replay, after).await;
                FinishedReplayRead { replay: replay.started_at, read }
            });
        }
    }

    /// Takes new events, or the end of a failed read.
    pub(super) async fn take_new(&mut self, read: Result<Vec<Arc<RenderedEvent>>, FeedError>) {
        match read {
            Ok(events) => {
                self.held.extend(events);
                self.take_held();
            }
            Err(FeedError::Gone) => match self.shared.floor(&self.key.organization).await {
                Ok(floor) => {
                    self.deliveries.skip_removed(Pass::Live, floor);
                    self.reader = None;
                }
                Err(error) => self.pause_reads(&error),
            },
            Err(FeedError::Store(error)) => self.pause_reads(&error),
        }
    }

    fn pause_reads(&mut self, error: &domain::ports::PortError) {
        report(error);
        self.read_from = Instant::now() + PAUSE;
    }

    /// Hands events over, up to the first that may change the webhook: later events are for the
    /// changed webhook.
    pub(super) fn take_held(&mut self) {
        let changes = |event: &Arc<RenderedEvent>| changes(event.name);
        let first = self.held.iter().position(changes);
        let count = first.map_or(self.held.len(), |first| first + 1);
        let events: Vec<_> = self.held.drain(..count).map(|event| queued(&event)).collect();
        let last = events.last().map(|event| event.position);
        let read = self.reader.as_ref().map(FeedReader::position);
        let until = if self.held.is_empty() { read } else { last };
        let until = until.unwrap_or(FeedPosition::START);
        self.deliveries.take_events(Pass::Live, events, until);
        if first.is_some() {
            self.reload_at = Some(Instant::now());
        }
    }

    pub(super) fn take_replayed(&mut self, finished: FinishedReplayRead) {
        let scanned = self.deliveries.scanned(Pass::Replay);
        match finished.read {
            Err(error) => self.pause_reads(&error),
            // Another replay began.
            Ok(_) if self.deliveries.replay().map(|it| it.started_at) != Some(finished.replay) => {}
            Ok(ReplayRead::Events(events, until)) => {
                if Some(until) == scanned {
                    // The events are not visible to this router yet.
                    self.read_from = Instant::now() + PAUSE;
                }
                self.deliveries.take_events(Pass::Replay, events, until);
            }
            Ok(ReplayRead::Removed(floor)) => self.deliveries.skip_removed(Pass::Replay, floor),
        }
    }

    pub(super) fn take_lookup(&mut self, finished: FinishedLookup, now: Timestamp) {
        let found = match finished.found {
            Ok(found) => Some(found),
            Err(error) => {
                self.pause_reads(&error);
                None
            }
        };
        self.deliveries.end_lookup(&finished.lookup, found, now);
    }
}

fn changes(name: EventName) -> bool {
    changes_webhooks(name)
}
