//! What has ended is removed some time later, little by little: receipts, attempts at linking that no longer
//! count, API keys, codes in the event log.

use std::{sync::PoisonError, time::Duration};

use domain::{LinkAttempt, Timestamp, ports::PortResult};

use crate::Worker;

/// How often it is looked for them.
const EVERY: Duration = Duration::from_secs(60);
/// How many are removed by one statement, so that none holds others up.
const AT_ONCE: u32 = 500;
/// How many statements at most before the worker turns to other things; the rest waits for its next round.
const STATEMENTS: u32 = 40;
/// A router whose clock is behind counts for longer what another has noted.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

impl Worker {
    /// Removes what has ended, if it is time to.
    pub(crate) async fn sweep(&self) -> PortResult<()> {
        let now = self.ports.environment.now();
        {
            let mut last = self.swept_at.lock().unwrap_or_else(PoisonError::into_inner);
            if last.is_some_and(|last| last <= now && last.until(now) < EVERY) {
                return Ok(());
            }
            *last = Some(now);
        }
        if !self.sweep_all(now).await? {
            *self.swept_at.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        Ok(())
    }

    /// Whether nothing of it is left.
    async fn sweep_all(&self, now: Timestamp) -> PortResult<bool> {
        let worker_store = &self.ports.worker_store;
        let uncounted = now.minus(LinkAttempt::RETENTION + CLOCK_SKEW);
        let keys_before = now.minus(self.deadlines.key_retention);
        let codes_before = now.minus(self.deadlines.code_retention);
        let mut left = [AT_ONCE; 4];
        for _ in 0..STATEMENTS {
            let [idempotency_records, attempts, keys, codes] = &mut left;
            if *idempotency_records >= AT_ONCE {
                *idempotency_records = worker_store.sweep_idempotency_records(now, AT_ONCE).await?;
            }
            if *attempts >= AT_ONCE {
                *attempts = worker_store.sweep_link_attempts(uncounted, AT_ONCE).await?;
            }
            if *keys >= AT_ONCE {
                *keys = worker_store.sweep_keys(keys_before, AT_ONCE).await?;
            }
            if *codes >= AT_ONCE {
                *codes = worker_store.blank_codes(codes_before, AT_ONCE).await?;
            }
            if left.iter().all(|count| *count < AT_ONCE) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
