//! Removes expired rows in small batches: idempotency records, link attempts that no longer count,
//! spent tickets, ended browser sessions, share links, API keys, old events, and codes in the event
//! log.
//!
//! Decision: ADR 0041.

use std::{sync::PoisonError, time::Duration};

use domain::{LinkAttempt, Timestamp, ports::PortResult};

use crate::Worker;

/// The minimum time between two sweeps.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);
/// The maximum number of rows that one statement removes, so that other statements wait shortly.
const MAX_ROWS: u32 = 500;
/// The maximum number of statements for each kind of row in one sweep. The next round of the worker
/// continues the sweep.
const MAX_STATEMENTS: u32 = 40;
/// Added to the age of link attempts, tickets and browser sessions: another router's clock may be behind this
/// router's clock.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// Returns whether the minimum time since the last complete sweep is over. `None` for no complete one.
pub(crate) fn is_sweep_due(last: Option<Timestamp>, now: Timestamp) -> bool {
    last.is_none_or(|last| last > now || last.until(now) >= SWEEP_INTERVAL)
}

impl Worker {
    /// Removes expired rows, if a sweep is due.
    pub(crate) async fn sweep(&self) -> PortResult<()> {
        let now = self.ports.environment.now();
        {
            let mut last = self.swept_at.lock().unwrap_or_else(PoisonError::into_inner);
            if !is_sweep_due(*last, now) {
                return Ok(());
            }
            *last = Some(now);
        }
        self.sweep_audit(now).await?;
        if !self.sweep_all(now).await? {
            *self.swept_at.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        Ok(())
    }

    /// Returns true if no expired row is left.
    async fn sweep_all(&self, now: Timestamp) -> PortResult<bool> {
        let worker_store = &self.ports.worker_store;
        let uncounted = now.minus(LinkAttempt::RETENTION + CLOCK_SKEW);
        let keys_before = now.minus(self.deadlines.key_retention);
        let codes_before = now.minus(self.deadlines.code_retention);
        let ended_before = now.minus(CLOCK_SKEW);
        let events_before = now.minus(self.deadlines.feed_retention);
        let links_before = now.minus(CLOCK_SKEW);
        let mut removed = [MAX_ROWS; 8];
        for _ in 0..MAX_STATEMENTS {
            let [idempotency_records, attempts, tickets, sessions, links, keys, codes, events] =
                &mut removed;
            if *idempotency_records >= MAX_ROWS {
                *idempotency_records =
                    worker_store.sweep_idempotency_records(now, MAX_ROWS).await?;
            }
            if *attempts >= MAX_ROWS {
                *attempts = worker_store.sweep_link_attempts(uncounted, MAX_ROWS).await?;
            }
            if *tickets >= MAX_ROWS {
                *tickets = worker_store.sweep_spent_tickets(ended_before, MAX_ROWS).await?;
            }
            if *sessions >= MAX_ROWS {
                *sessions = worker_store.sweep_browser_sessions(ended_before, MAX_ROWS).await?;
            }
            if *links >= MAX_ROWS {
                *links = worker_store.sweep_share_links(links_before, MAX_ROWS).await?;
            }
            if *keys >= MAX_ROWS {
                *keys = worker_store.sweep_keys(keys_before, MAX_ROWS).await?;
            }
            if *codes >= MAX_ROWS {
                *codes = worker_store.blank_codes(codes_before, MAX_ROWS).await?;
            }
            if *events >= MAX_ROWS {
                *events = worker_store.prune_feed(events_before, MAX_ROWS).await?;
            }
            if removed.iter().all(|count| *count < MAX_ROWS) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Removes events that the audit log no longer keeps, one organization after the other. The next
    /// sweep continues with the next organization.
    async fn sweep_audit(&self, now: Timestamp) -> PortResult<()> {
        let Some(retention) = self.deadlines.audit_retention else { return Ok(()) };
        for _ in 0..MAX_STATEMENTS {
            let before = now.minus(retention);
            if self.ports.worker_store.prune_audit(before, MAX_ROWS).await?.is_none() {
                return Ok(());
            }
        }
        Ok(())
    }
}
