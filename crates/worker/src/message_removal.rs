//! [`MessageRemover`]: removes messages of deleted sessions, and messages that are too old.

use std::{error::Error, sync::Arc, time::Duration};

use domain::{MessageRetention, Result, Timestamp, ports::Environment};
use tokio_util::sync::CancellationToken;

use crate::retention::is_sweep_due;

/// The time between two rounds without work.
const REST: Duration = Duration::from_secs(1);
/// The maximum number of rows that one statement removes, so that other statements wait shortly.
const MAX_ROWS: u32 = 1_000;

/// Removes messages in small steps, one at a time.
pub struct MessageRemover {
    retention: MessageRetention,
    environment: Arc<dyn Environment>,
    /// The time of the last complete examination of all sessions; `None` when one is due.
    examined_at: Option<Timestamp>,
    /// The time at which the outbox had no old entry; `None` when an examination is due.
    swept_at: Option<Timestamp>,
}

impl MessageRemover {
    /// Creates a remover. It does nothing before [`Self::run`] or [`Self::round`].
    pub fn new(retention: MessageRetention, environment: Arc<dyn Environment>) -> Self {
        Self { retention, environment, examined_at: None, swept_at: None }
    }

    /// Runs until `stop` is cancelled. An interrupted step becomes due again.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut failing = false;
        while !stop.is_cancelled() {
            let round = tokio::select! {
                round = self.round() => round,
                () = stop.cancelled() => return,
            };
            let rest = match round {
                Ok(has_work) => {
                    failing = false;
                    if has_work { Duration::ZERO } else { REST }
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        let error = &error as &dyn Error;
                        tracing::warn!(error, "messages cannot be removed; the worker will retry");
                    }
                    REST
                }
            };
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Performs one step of each removal that is due. Returns whether another round has work.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn round(&mut self) -> Result<bool> {
        let mut has_work = self.retention.remove_deleted(MAX_ROWS).await?;
        let now = self.environment.now();
        if is_sweep_due(self.swept_at, now) {
            let removed = self.retention.remove_entries(MAX_ROWS).await?;
            self.swept_at = (removed < MAX_ROWS).then_some(now);
            has_work |= removed >= MAX_ROWS;
        }
        if is_sweep_due(self.examined_at, now) {
            let is_complete = self.retention.remove_old(MAX_ROWS).await?;
            self.examined_at = is_complete.then_some(now);
        }
        Ok(has_work)
    }
}
