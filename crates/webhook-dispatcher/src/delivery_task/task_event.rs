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
pub(super) enum TaskEvent {
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
    /// Waits for the next event of the task. Nothing is lost when another comes first.
    pub(super) async fn next_task_event(&mut self, now: Timestamp) -> TaskEvent {
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
            () = self.signals.stop.cancelled(), if !is_stopping => TaskEvent::Stop,
            Some(ended) = self.attempts.join_next() => match ended {
                Ok(finished) => TaskEvent::Attempt(finished),
                // At the end of the grace of a stop.
                Err(error) if error.is_cancelled() => TaskEvent::Time,
                Err(_) => TaskEvent::Panic,
            },
            flushed = or_never(flush) => TaskEvent::Flush(flushed.unwrap_or(Flushed::Failed)),
            () = self.signals.changed.notified() => TaskEvent::Changed,
            Some(ended) = self.lookups.join_next() => {
                ended.map_or(TaskEvent::Panic, TaskEvent::Lookup)
            }
            permit = granted(first) => TaskEvent::Permit(AttemptKind::First, permit),
            permit = granted(repeat) => TaskEvent::Permit(AttemptKind::Repeat, permit),
            Some(ended) = self.replay_reads.join_next() => {
                ended.map_or(TaskEvent::Panic, TaskEvent::Replay)
            }
            events = next_events(reader) => TaskEvent::Events(events),
            () = sleep_until(wakes_at) => TaskEvent::Time,
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
    pub(super) async fn handle(&mut self, task_event: TaskEvent) -> Option<Ending> {
        let now = self.now();
        if !matches!(task_event, TaskEvent::Time | TaskEvent::Flush(_)) {
            self.idle_since = None;
        }
        match task_event {
            TaskEvent::Stop => self.stopped_at = Some(Instant::now()),
            TaskEvent::Changed => self.reload_at = Some(Instant::now()),
            TaskEvent::Attempt(finished) => self.end_attempt(finished, now),
            TaskEvent::Lookup(finished) => self.take_lookup(finished, now),
            TaskEvent::Replay(finished) => self.take_replayed(finished),
            TaskEvent::Permit(kind, permit) => self.begin_attempt(kind, permit, now),
            TaskEvent::Events(events) => self.take_new(events).await,
            TaskEvent::Flush(flushed) => return self.end_flush(flushed),
            TaskEvent::Panic => return Some(Ending::Lost),
            TaskEvent::Time => {
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
