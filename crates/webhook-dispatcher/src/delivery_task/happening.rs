//! What a task waits for.

use std::sync::Arc;

use domain::{AttemptKind, Pass, Timestamp};
use event_feed::{FeedError, FeedReader, RenderedEvent};
use tokio::time::{Instant, sleep_until};

use super::{DeliveryTask, Ending, FinishedAttempt, FinishedLookup, FinishedReplayRead, PAUSE};
use crate::{
    flusher::Flushed,
    permits::{Permit, PermitRequest},
};

/// What happened.
pub(super) enum Happening {
    Stop,
    Changed,
    Attempt(FinishedAttempt),
    Lookup(FinishedLookup),
    Replay(FinishedReplayRead),
    Permit(AttemptKind, Permit),
    Events(Result<Vec<Arc<RenderedEvent>>, FeedError>),
    Flush(Flushed),
    Time,
    /// A part of the task panicked. Its state is unknown.
    Panic,
}

impl DeliveryTask {
    /// Waits for the next happening. Nothing is lost when another comes first.
    pub(super) async fn next_happening(&mut self, now: Timestamp) -> Happening {
        let wants_events = self.wants_events(Pass::Live, now);
        if wants_events && self.reader.is_none() {
            self.subscribe();
        }
        let wakes_at = self.wakes_at(now);
        let is_stopping = self.is_stopping();
        let reader = self.reader.as_mut().filter(|_| wants_events);
        let [first, repeat] = &mut self.permits;
        let flush = self.flush.as_mut().map(|flush| &mut flush.result);
        tokio::select! {
            biased;
            () = self.signals.stop.cancelled(), if !is_stopping => Happening::Stop,
            Some(ended) = self.attempts.join_next() => match ended {
                Ok(finished) => Happening::Attempt(finished),
                // At the end of the grace of a stop.
                Err(error) if error.is_cancelled() => Happening::Time,
                Err(_) => Happening::Panic,
            },
            flushed = or_never(flush) => Happening::Flush(flushed.unwrap_or(Flushed::Failed)),
            () = self.signals.changed.notified() => Happening::Changed,
            Some(ended) = self.lookups.join_next() => {
                ended.map_or(Happening::Panic, Happening::Lookup)
            }
            permit = granted(first) => Happening::Permit(AttemptKind::First, permit),
            permit = granted(repeat) => Happening::Permit(AttemptKind::Repeat, permit),
            Some(ended) = self.replay_reads.join_next() => {
                ended.map_or(Happening::Panic, Happening::Replay)
            }
            events = next_events(reader) => Happening::Events(events),
            () = sleep_until(wakes_at) => Happening::Time,
        }
    }

    fn subscribe(&mut self) {
        let after = self.deliveries.scanned(Pass::Live).unwrap_or_default();
        match self.shared.reader(&self.key.organization, after) {
            Ok(reader) => self.reader = Some(reader),
            Err(error) => {
                super::report(&error);
                self.read_from = Instant::now() + PAUSE;
            }
        }
    }

    /// Handles what happened. Returns the end of the task.
    pub(super) async fn handle(&mut self, happening: Happening) -> Option<Ending> {
        let now = self.now();
        if !matches!(happening, Happening::Time | Happening::Flush(_)) {
            self.idle_since = None;
        }
        match happening {
            Happening::Stop => self.stopped_at = Some(Instant::now()),
            Happening::Changed => self.reload_at = Some(Instant::now()),
            Happening::Attempt(finished) => self.end_attempt(finished, now),
            Happening::Lookup(finished) => self.take_lookup(finished, now),
            Happening::Replay(finished) => self.take_replayed(finished),
            Happening::Permit(kind, permit) => self.begin_attempt(kind, permit, now),
            Happening::Events(events) => self.take_new(events).await,
            Happening::Flush(flushed) => return self.end_flush(flushed),
            Happening::Panic => return Some(Ending::Lost),
            Happening::Time => {
                if self.credentials_until.is_some_and(|until| until <= now) {
                    self.open_credentials().await;
                }
            }
        }
        None
    }
}

async fn or_never<F: Future>(future: Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

/// Waits for a permit, and takes the request.
async fn granted(request: &mut Option<PermitRequest>) -> Permit {
    let permit = or_never(request.as_mut().map(PermitRequest::granted)).await;
    *request = None;
    permit
}

async fn next_events(
    reader: Option<&mut FeedReader>,
) -> Result<Vec<Arc<RenderedEvent>>, FeedError> {
    or_never(reader.map(FeedReader::next)).await
}
