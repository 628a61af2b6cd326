//! Receipts that have expired are removed, little by little.

use std::{sync::PoisonError, time::Duration};

use domain::ports::PortResult;

use crate::Worker;

/// How often it is looked for them.
const EVERY: Duration = Duration::from_secs(60);
/// How many are removed by one statement, so that none holds others up.
const AT_ONCE: u32 = 500;
/// How many statements at most before the worker turns to other things; the rest waits a minute.
const STATEMENTS: u32 = 40;

impl Worker {
    /// Removes receipts, if it is time to.
    pub(crate) async fn sweep(&self) -> PortResult<()> {
        let now = self.ports.environment.now();
        {
            let mut last = self.swept_at.lock().unwrap_or_else(PoisonError::into_inner);
            if last.is_some_and(|last| last <= now && last.until(now) < EVERY) {
                return Ok(());
            }
            *last = Some(now);
        }
        for _ in 0..STATEMENTS {
            if self.ports.backlog.sweep_receipts(now, AT_ONCE).await? < AT_ONCE {
                break;
            }
        }
        Ok(())
    }
}
