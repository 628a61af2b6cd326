//! The state of the journal, for the health of the node.

use std::sync::atomic::{AtomicU64, Ordering};

use gateway_protocol::JournalStats;

use super::{Journal, rows, usage::Amount};

/// Numbers since the start of the process.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) delivered: AtomicU64,
    pub(super) retried: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) dropped_receipts: AtomicU64,
}

impl Journal {
    /// Returns the state of the journal.
    pub(crate) async fn stats(&self) -> JournalStats {
        let oldest = self.database.read(rows::oldest).await.unwrap_or_default();
        let age = oldest.map(|at| wacore::time::now_millis().saturating_sub(at));
        let Amount { items, bytes } = self.usage().total();
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        JournalStats {
            items,
            bytes,
            oldest_ms: age.map(|age| u64::try_from(age).unwrap_or(0)),
            delivered: read(&self.counters.delivered),
            retried: read(&self.counters.retried),
            refused: read(&self.counters.refused),
            dropped_receipts: read(&self.counters.dropped_receipts),
        }
    }
}
