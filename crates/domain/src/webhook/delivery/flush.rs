//! What is stored of the deliveries, and when the webhook is to be looked at again.

use crate::{
    time::Timestamp,
    webhook::{
        delivery::{
            attempts::AttemptKind, changes::DeliveryChanges, deliveries::Deliveries,
            retry_queue::Pass, retry_state::RetryStep, unflushed::Unflushed,
        },
        progress::{DeliveryProgress, SEALED},
        replay::Replay,
    },
};

impl<B: Clone> Deliveries<B> {
    /// Returns the number of outcomes that are not stored.
    pub fn unflushed_outcomes(&self) -> usize {
        let flushing = self.flushing.as_ref().map_or(0, |it| it.attempts.len());
        self.unflushed.attempts.len() + flushing
    }

    /// Returns the maximum number of attempts that a crash would repeat now.
    pub fn at_risk(&self) -> usize {
        let ahead = self.replay.as_ref().map_or(0, |pass| pass.queue.settled_ahead());
        let flushing = self.flushing.as_ref().map_or(0, |it| it.repeats);
        let unflushed = self.unflushed.repeats + flushing;
        self.live.settled_ahead() + ahead + unflushed + self.in_flight.len()
    }

    /// Returns whether something besides a position is to be stored.
    pub fn has_changes(&self) -> bool {
        !self.unflushed.is_empty()
    }

    /// Returns whether a position is to be stored.
    pub fn has_moved(&self) -> bool {
        let moved = self.replay.as_ref().is_some_and(|pass| {
            let stored = self.progress.replay.as_ref();
            stored.is_none_or(|stored| stored.position < pass.queue.settled())
        });
        moved || self.progress.position < self.live.settled()
    }

    /// Returns whether a flush is running.
    pub fn is_flushing(&self) -> bool {
        self.flushing.is_some()
    }

    /// Begins a flush. [`Self::flushed`] ends it.
    pub fn flush(&mut self) -> DeliveryChanges {
        self.remove_all_ended();
        self.progress.position = self.progress.position.max(self.live.settled());
        self.progress.replay = self.replay.as_ref().map(|pass| Replay {
            position: pass.replay.position.max(pass.queue.settled()),
            ..pass.replay.clone()
        });
        self.progress.breaker = self.breaker.state();
        let unflushed = std::mem::take(&mut self.unflushed);
        let (mut retries, mut removed) = (Vec::new(), Vec::new());
        for id in &unflushed.retries {
            match self.retries.get(id) {
                Some(state) => retries.push(state.row.clone()),
                None => removed.push(id.clone()),
            }
        }
        let changes = DeliveryChanges {
            progress: self.progress.clone(),
            ended_replay: unflushed.ended_replay,
            retries,
            removed,
            dead_letters: unflushed.dead_letters.clone(),
            replayed: unflushed.replayed.clone(),
            attempts: unflushed.attempts.clone(),
            disable: unflushed.disable,
            gaps: unflushed.gaps,
        };
        self.flushing = Some(unflushed);
        changes
    }

    /// Ends a flush. What was not written is part of the next flush.
    pub fn flushed(&mut self, written: bool) {
        let Some(earlier) = self.flushing.take() else { return };
        if written {
            self.live.stored(self.progress.position);
            if let (Some(pass), Some(stored)) = (&mut self.replay, &self.progress.replay)
                && pass.replay.started_at == stored.started_at
            {
                pass.queue.stored(stored.position);
            }
        } else {
            self.unflushed.prepend(Unflushed { progress: true, ..earlier });
        }
    }

    /// Records whether the secrets can be opened. Without them no attempt is made.
    pub fn set_sealed(&mut self, sealed: bool) {
        if self.sealed != sealed {
            self.sealed = sealed;
            self.progress.last_error = sealed.then(|| SEALED.to_owned());
            self.unflushed.progress = true;
        }
    }

    /// Returns whether nothing is in flight, to be attempted, to be looked up, or to be stored.
    pub fn is_idle(&self, now: Timestamp) -> bool {
        self.in_flight.is_empty()
            && self.flushing.is_none()
            && self.unflushed.is_empty()
            && ![AttemptKind::First, AttemptKind::Repeat]
                .into_iter()
                .any(|kind| self.wants_attempt(kind, now))
            && self.next_due(now).is_none_or(|due| due > now)
            && !self.wants_events(Pass::Replay, now)
    }

    /// Returns whether an attempt is in flight.
    pub fn is_in_flight(&self) -> bool {
        !self.in_flight.is_empty()
    }

    /// Returns the time at which an attempt is due. `None` if no attempt waits for a time.
    pub fn next_due(&self, now: Timestamp) -> Option<Timestamp> {
        if !self.is_live() {
            return None;
        }
        let open_until = self.breaker.state().open_until;
        // An open breaker is tested when there is an event for the test.
        let waits = |until: &Timestamp| *until > now || self.has_retries();
        if open_until.is_some() {
            return open_until.filter(waits);
        }
        let waiting = self.retries.values().filter(|state| state.step() != RetryStep::End);
        waiting.map(|state| state.row.due).min()
    }

    /// Returns the progress.
    pub fn progress(&self) -> &DeliveryProgress {
        &self.progress
    }
}
