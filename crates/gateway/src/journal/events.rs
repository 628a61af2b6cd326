//! Writes items of callers that cannot wait. Items that queue while the disk is busy share a
//! transaction.

use std::{sync::Weak, time::Duration};

use tokio::sync::{mpsc, oneshot};
use wacore::store::error::StoreError;

use super::{Append, Journal};

/// Writes of events in one transaction.
const MAX_EVENTS: usize = 256;
/// Attempts to write an event.
const MAX_WRITE_ATTEMPTS: u32 = 5;
/// Wait after the first failed attempt; grows with each.
const WRITE_RETRY: Duration = Duration::from_millis(200);

/// Work of the task that writes events.
pub(super) enum EventWrite {
    Append(Append),
    /// Answered when all earlier events are on disk.
    Flush(oneshot::Sender<()>),
}

/// Writes events until the journal is dropped. Queued events share a transaction.
pub(super) async fn write(journal: Weak<Journal>, mut events: mpsc::UnboundedReceiver<EventWrite>) {
    let mut queued = Vec::with_capacity(MAX_EVENTS);
    while events.recv_many(&mut queued, MAX_EVENTS).await > 0 {
        let Some(journal) = journal.upgrade() else { return };
        let (mut appends, mut flushes) = (Vec::new(), Vec::new());
        for event in queued.drain(..) {
            match event {
                EventWrite::Append(append) => appends.push(append),
                EventWrite::Flush(done) => flushes.push(done),
            }
        }
        if !appends.is_empty() {
            journal.write_appends(appends).await;
        }
        for done in flushes {
            let _ = done.send(());
        }
    }
}

impl Journal {
    async fn write_appends(&self, appends: Vec<Append>) {
        for attempt in 1..=MAX_WRITE_ATTEMPTS {
            // Each attempt gives its reservation back.
            if attempt > 1 {
                let mut usage = self.usage();
                for Append { source, amount, .. } in &appends {
                    usage.add(&source.group, *amount);
                }
            }
            match self.write_reserved(appends.clone()).await {
                Ok(()) => return,
                Err(error) if attempt == MAX_WRITE_ATTEMPTS => lost_events(appends.len(), &error),
                Err(_) => tokio::time::sleep(WRITE_RETRY * attempt).await,
            }
        }
    }
}

fn lost_events(events: usize, error: &StoreError) {
    tracing::error!(events, %error, "cannot write to the journal; receipts and results are lost");
}
