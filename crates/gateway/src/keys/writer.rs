//! The one that writes. What many sessions want written while the disk is busy goes into one
//! transaction, which costs one wait for the disk; each hears of it only then.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::Receiver,
};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use super::rows::{Result, database_error, sqlite_error};

/// How many writes share a transaction at most: its pages are held in memory until it is written.
const MAX_BATCH: usize = 128;

/// Something to write, by someone who waits.
pub(super) trait WriteRequest: Send {
    /// Writes it inside a transaction. May happen twice: its first transaction may be undone.
    fn apply(&mut self, connection: &Connection) -> Result<()>;
    /// Tells whoever waits how it ended.
    fn respond(self: Box<Self>, outcome: Result<()>);
    /// Whether the log, which still holds what was deleted, must be gone before it is answered.
    fn clears_wal(&self) -> bool;
}

/// An [`WriteRequest`] made of a function.
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
        // A fault in one write must not end the thread that all sessions write by.
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.work)(connection)));
        self.value = Some(outcome.unwrap_or_else(|_| Err(database_error("a write broke down")))?);
        Ok(())
    }

    fn respond(self: Box<Self>, outcome: Result<()>) {
        let value = self.value.ok_or_else(|| database_error("a write was not done"));
        let _ = self.reply.send(outcome.and(value)); // nobody may be waiting any more
    }

    fn clears_wal(&self) -> bool {
        self.clears_wal
    }
}

/// Writes until nobody can order any more.
pub(super) fn write(mut connection: Connection, writes: &Receiver<Box<dyn WriteRequest>>) {
    while let Ok(first) = writes.recv() {
        let mut batch = vec![first];
        batch.extend(writes.try_iter().take(MAX_BATCH - 1));
        commit(&mut connection, batch);
    }
}

/// All in one transaction. If that cannot be, each in its own, so that none fails for another.
fn commit(connection: &mut Connection, mut batch: Vec<Box<dyn WriteRequest>>) {
    match apply_batch(connection, &mut batch) {
        Ok(()) => respond(connection, batch),
        Err(error) if batch.len() == 1 => {
            if let Some(request) = batch.pop() {
                request.respond(Err(error));
            }
        }
        Err(_) => batch.into_iter().for_each(|request| commit(connection, vec![request])),
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

/// It is on disk; all that may be missing is an empty log.
fn respond(connection: &Connection, batch: Vec<Box<dyn WriteRequest>>) {
    let wanted = batch.iter().any(|request| request.clears_wal());
    let cleared = !wanted || clear_wal(connection);
    for request in batch {
        let outcome = if request.clears_wal() && !cleared {
            Err(database_error("what was deleted is still in the log"))
        } else {
            Ok(())
        };
        request.respond(outcome);
    }
}

/// Moves what is in the log to its places and cuts the log to nothing.
pub(super) fn clear_wal(connection: &Connection) -> bool {
    let busy: rusqlite::Result<i64> =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
    match busy {
        Ok(busy) => busy == 0, // readers may keep it from being cut
        Err(error) => {
            tracing::error!(%error, "the log of the keys cannot be cleared");
            false
        }
    }
}
