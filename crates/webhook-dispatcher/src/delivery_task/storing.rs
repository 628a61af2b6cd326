//! Storing of the progress, and the end of the lease.

use std::{sync::LazyLock, time::Duration};

use domain::{DeliveryFlush, LeaseChange, Pass, Timestamp};
use tokio::time::Instant;

use super::{DeliveryTask, Ending, IDLE, PAUSE, RunningFlush, SEALED_PAUSE, STOP_GRACE};
use crate::flusher::Flushed;

/// Time between two flushes. All tasks flush at the same times, so that they share a transaction.
const FLUSH_INTERVAL: Duration = Duration::from_millis(100);
/// Number of outcomes that are flushed at once.
const URGENT: usize = 128;
/// Number of attempts after which old ones are removed.
const PRUNE_INTERVAL: usize = 100;

/// The first of the times at which tasks flush.
static FIRST_FLUSH: LazyLock<Instant> = LazyLock::new(Instant::now);

impl DeliveryTask {
    /// Begins a flush if one is due, or gives the lease back if no work is left.
    pub(super) async fn begin_flush(&mut self, now: Timestamp) {
        if self.flush.is_some() {
            return;
        }
        if self.may_release(now) && !self.finds_events().await {
            let read_at = Instant::now();
            let due = self.due_after_release(now);
            self.write(LeaseChange::Release { now, due }, Some(read_at));
            return;
        }
        if self.deliveries.has_changes() && self.flush_at.is_none() {
            let is_urgent = self.deliveries.unflushed_outcomes() >= URGENT;
            self.flush_at = Some(if is_urgent { Instant::now() } else { next_flush() });
        }
        let is_urgent = self.deliveries.unflushed_outcomes() >= URGENT;
        let is_due = self.flush_at.is_some_and(|at| is_urgent || at <= Instant::now());
        if is_due || self.lease.renewal_due() <= Instant::now() {
            let until = self.lease.begin_write(now);
            self.write(LeaseChange::Renew(until), None);
        }
    }

    fn write(&mut self, lease: LeaseChange, release: Option<Instant>) {
        self.flush_at = None;
        let changes = self.deliveries.flush();
        let disables = changes.disable.is_some();
        if let Some((reason, _)) = changes.disable {
            tracing::info!(
                organization = %self.key.organization,
                webhook = %self.key.webhook,
                reason = reason.as_str(),
                "deliveries of a webhook are stopped"
            );
        }
        let environment = &*self.shared.ports.environment;
        let mut flush =
            DeliveryFlush::new(self.key.clone(), self.epoch, lease, changes, environment);
        if self.unpruned >= PRUNE_INTERVAL && !flush.changes.attempts.is_empty() {
            flush.prune = true;
            self.unpruned = 0;
        }
        let result = self.shared.flushes.flush(flush);
        self.flush = Some(RunningFlush { result, release, disables });
        self.state.update(&self.deliveries);
    }

    /// Takes the result of a flush.
    pub(super) fn end_flush(&mut self, flushed: Flushed) -> Option<Ending> {
        let flush = self.flush.take()?;
        self.deliveries.flushed(flushed == Flushed::Written);
        match flushed {
            Flushed::Written => {
                self.lease.written();
                if flush.disables {
                    // The owner may have changed the webhook first.
                    self.reload_at = Some(Instant::now());
                }
                flush.release.map(|read_at| Ending::Released { read_at })
            }
            Flushed::Lost => {
                self.lose();
                Some(Ending::Lost)
            }
            // The lease may be given back, or ends by itself.
            Flushed::Failed if flush.release.is_some() => Some(Ending::Lost),
            Flushed::Failed => {
                self.flush_at = Some(Instant::now() + PAUSE);
                None
            }
        }
    }

    /// Returns whether the lease is to be given back now.
    fn may_release(&mut self, now: Timestamp) -> bool {
        if let Some(stopped_at) = self.stopped_at {
            let is_over = stopped_at.elapsed() >= STOP_GRACE;
            if is_over {
                self.attempts.abort_all();
            }
            return is_over || self.attempts.is_empty();
        }
        if !self.is_idle(now) || self.flush_at.is_some() {
            self.idle_since = None;
            return false;
        }
        let idle_since = *self.idle_since.get_or_insert_with(Instant::now);
        // No event ends the wait of a webhook that is paused or whose receiver does not work.
        let waits = self.deliveries.next_due(now).is_some_and(|due| now.until(due) < IDLE);
        let rests = !self.deliveries.is_live() || self.deliveries.is_failing();
        (rests && !waits) || idle_since.elapsed() >= IDLE
    }

    /// Returns whether events came since the last read.
    async fn finds_events(&mut self) -> bool {
        let now = self.now();
        if !self.wants_events(Pass::Live, now) {
            return false;
        }
        let Some(reader) = self.reader.as_mut() else { return true };
        let read = reader.read_available().await;
        let found = !matches!(&read, Ok(events) if events.is_empty());
        self.take_new(read).await;
        found
    }

    pub(super) fn due_after_release(&self, now: Timestamp) -> Option<Timestamp> {
        if self.credentials.is_none() && self.deliveries.webhook().is_live() {
            return Some(now.plus(SEALED_PAUSE));
        }
        if self.is_stopping() && self.deliveries.is_live() {
            return Some(now);
        }
        self.deliveries.next_due(now)
    }

    /// Returns the time at which something is to be done although nothing happens.
    pub(super) fn wakes_at(&self, now: Timestamp) -> Instant {
        let at = |due: Timestamp| Instant::now() + now.until(due);
        let due = self.deliveries.next_due(now).filter(|due| *due > now).map(at);
        let expires = self.credentials_expire(now).map(|left| Instant::now() + left);
        let paused = Some(self.read_from).filter(|at| *at > Instant::now());
        // A flush is followed by the next one or by the release when it ends.
        let may_write = self.flush.is_none();
        let stop = self.stopped_at.map(|at| at + STOP_GRACE).filter(|_| may_write);
        let idle = self.idle_since.map(|since| since + IDLE).filter(|_| may_write);
        let renewal = may_write.then(|| self.lease.renewal_due());
        let flush = self.flush_at.filter(|_| may_write);
        [due, expires, paused, stop, idle, renewal, flush, self.reload_at]
            .into_iter()
            .flatten()
            .fold(self.lease.ends(), Instant::min)
    }
}

/// Returns the next of the times at which tasks flush.
fn next_flush() -> Instant {
    let since = FIRST_FLUSH.elapsed().as_millis();
    let rest = FLUSH_INTERVAL.as_millis() - since % FLUSH_INTERVAL.as_millis();
    Instant::now() + Duration::from_millis(u64::try_from(rest).unwrap_or(0))
}
