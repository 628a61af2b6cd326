//! What has ended is removed some time later, little by little: receipts, API keys, codes in the event log.

use std::{sync::PoisonError, time::Duration};

use domain::{Timestamp, ports::PortResult};

use crate::Worker;

/// How often it is looked for them.
const EVERY: Duration = Duration::from_secs(60);
/// How many are removed by one statement, so that none holds others up.
const AT_ONCE: u32 = 500;
/// How many statements at most before the worker turns to other things; the rest waits a minute.
const STATEMENTS: u32 = 40;

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
        let backlog = &*self.ports.backlog;
        let keys_before = before(now, self.deadlines.key_retention);
        let codes_before = before(now, self.deadlines.code_retention);
        for _ in 0..STATEMENTS {
            if backlog.sweep_receipts(now, AT_ONCE).await? < AT_ONCE {
                break;
            }
        }
        for _ in 0..STATEMENTS {
            if backlog.sweep_keys(keys_before, AT_ONCE).await? < AT_ONCE {
                break;
            }
        }
        for _ in 0..STATEMENTS {
            if backlog.blank_codes(codes_before, AT_ONCE).await? < AT_ONCE {
                break;
            }
        }
        Ok(())
    }
}

/// So long before now.
fn before(now: Timestamp, span: Duration) -> Timestamp {
    let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(now.millis().saturating_sub(span))
}
