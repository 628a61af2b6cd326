//! The writer thread. Writes that queue while the disk is busy share one transaction, which costs
//! one wait for the disk; each is answered after the commit.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::Receiver,
    time::Instant,
};

use metrics::{Gauge, Histogram};
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use super::{Result, database_error, sqlite_error};

/// Upper bound of writes in a transaction, whose pages are in memory until the commit.
const MAX_BATCH: usize = 128;

/// A queued write with a waiting caller.
pub(super) trait WriteRequest: Send {
    /// Writes within a transaction. May run twice, because the first transaction may be rolled
    /// back.
    fn apply(&mut self, connection: &Connection) -> Result<()>;
    /// Sends the outcome to the caller.
    fn respond(self: Box<Self>, outcome: Result<()>);
    /// Returns whether the log, which still holds deleted data, must be cleared before the answer.
    fn clears_wal(&self) -> bool;
}

/// The metrics of the writes to one file.
pub(super) struct WriteMetrics {
    /// Durations of committed transactions in seconds.
    pub(super) commit: Histogram,
    /// The number of writes without an answer.
    pub(super) queued: Gauge,
}

/// A [`WriteRequest`] made of a function.
pub(super) struct WriteOperation<W, T> {
    pub(super) work: W,
    pub(super) value: Option<T>,
    pub(super) clears_wal: bool,
    pub(super) reply: oneshot::Sender<Result<T>>,
}

impl<W, T> WriteRequest for WriteOperation<W, T>
where
    W: Fn(&Connection) -> Result<T> + Send,
    T: Send,
{
    fn apply(&mut self, connection: &Connection) -> Result<()> {
        // A panic in one write must not end the thread that writes for all sessions.
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.work)(connection)));
        self.value = Some(outcome.unwrap_or_else(|_| Err(database_error("the write panicked")))?);
        Ok(())
    }

    fn respond(self: Box<Self>, outcome: Result<()>) {
        let value = self.value.ok_or_else(|| database_error("the write did not run"));
        let _ = self.reply.send(outcome.and(value)); // the caller may have gone
    }

    fn clears_wal(&self) -> bool {
        self.clears_wal
    }
}

/// Writes until all senders are dropped.
pub(super) fn write(
    mut connection: Connection,
    writes: &Receiver<Box<dyn WriteRequest>>,
    metrics: &WriteMetrics,
) {
    while let Ok(first) = writes.recv() {
        let mut batch = vec![first];
        batch.extend(writes.try_iter().take(MAX_BATCH - 1));
        let length = u32::try_from(batch.len()).unwrap_or(u32::MAX);
        commit(&mut connection, batch, &metrics.commit);
        metrics.queued.decrement(f64::from(length));
    }
}

/// Commits a batch in one transaction. If that fails, commits each write in its own transaction, so
/// that no write fails because of another.
fn commit(
    connection: &mut Connection,
    mut batch: Vec<Box<dyn WriteRequest>>,
    durations: &Histogram,
) {
    let began = Instant::now();
    match apply_batch(connection, &mut batch) {
        Ok(()) => {
            durations.record(began.elapsed());
            respond(connection, batch);
        }
        Err(error) if batch.len() == 1 => {
            if let Some(request) = batch.pop() {
                request.respond(Err(error));
            }
        }
        Err(_) => {
            for request in batch {
                commit(connection, vec![request], durations);
            }
        }
    }
}

fn apply_batch(connection: &mut Connection, batch: &mut [Box<dyn WriteRequest>]) -> Result<()> {
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(sqlite_error)?;
    for request in batch {
        request.apply(&transaction)?;
    }
    transaction.commit().map_err(sqlite_error)
}

/// Answers committed writes, after clearing the log if one of them requires it.
fn respond(connection: &Connection, batch: Vec<Box<dyn WriteRequest>>) {
    let is_requested = batch.iter().any(|request| request.clears_wal());
    let cleared = !is_requested || clear_wal(connection);
    for request in batch {
        let outcome = if request.clears_wal() && !cleared {
            Err(database_error("the write-ahead log still holds deleted data"))
        } else {
            Ok(())
        };
        request.respond(outcome);
    }
}

/// Moves the log into the file and truncates it. Returns whether the log is empty.
pub(super) fn clear_wal(connection: &Connection) -> bool {
    let busy: rusqlite::Result<i64> =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
    match busy {
        Ok(busy) => busy == 0, // readers can prevent the truncation
        Err(error) => {
            tracing::error!(%error, "cannot clear the write-ahead log");
            false
        }
    }
}
