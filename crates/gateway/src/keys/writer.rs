//! The one that writes. What many sessions want written while the disk is busy goes into one
//! transaction, which costs one wait for the disk; each hears of it only then.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::Receiver,
};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use super::{
    database::broke,
    rows::{Result, failed},
};

/// How many writes share a transaction at most: its pages are held in memory until it is written.
const GROUP: usize = 128;

/// Something to write, by someone who waits.
pub(super) trait Order: Send {
    /// Writes it inside a transaction. May happen twice: its first transaction may be undone.
    fn attempt(&mut self, connection: &Connection) -> Result<()>;
    /// Tells whoever waits how it ended.
    fn answer(self: Box<Self>, outcome: Result<()>);
    /// Whether the log, which still holds what was deleted, must be gone before it is answered.
    fn clears_log(&self) -> bool;
}

/// An [`Order`] made of a function.
pub(super) struct Write<W, T> {
    pub(super) work: W,
    pub(super) done: Option<T>,
    pub(super) clears_log: bool,
    pub(super) reply: oneshot::Sender<Result<T>>,
}

impl<W, T> Order for Write<W, T>
where
    W: Fn(&Connection) -> Result<T> + Send,
    T: Send,
{
    fn attempt(&mut self, connection: &Connection) -> Result<()> {
        // A fault in one write must not end the thread that all sessions write by.
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.work)(connection)));
        self.done = Some(outcome.unwrap_or_else(|_| Err(broke("a write broke down")))?);
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<()>) {
        let done = self.done.ok_or_else(|| broke("a write was not done"));
        let _ = self.reply.send(outcome.and(done)); // nobody may be waiting any more
    }

    fn clears_log(&self) -> bool {
        self.clears_log
    }
}

/// Writes until nobody can order any more.
pub(super) fn write(mut connection: Connection, orders: &Receiver<Box<dyn Order>>) {
    while let Ok(first) = orders.recv() {
        let mut group = vec![first];
        group.extend(orders.try_iter().take(GROUP - 1));
        commit(&mut connection, group);
    }
}

/// All in one transaction. If that cannot be, each in its own, so that none fails for another.
fn commit(connection: &mut Connection, mut group: Vec<Box<dyn Order>>) {
    match transact(connection, &mut group) {
        Ok(()) => answer(connection, group),
        Err(error) if group.len() == 1 => {
            if let Some(order) = group.pop() {
                order.answer(Err(error));
            }
        }
        Err(_) => group.into_iter().for_each(|order| commit(connection, vec![order])),
    }
}

fn transact(connection: &mut Connection, group: &mut [Box<dyn Order>]) -> Result<()> {
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    for order in group {
        order.attempt(&transaction)?;
    }
    transaction.commit().map_err(failed)
}

/// It is on disk; all that may be missing is an empty log.
fn answer(connection: &Connection, group: Vec<Box<dyn Order>>) {
    let wanted = group.iter().any(|order| order.clears_log());
    let cleared = !wanted || clear_log(connection);
    for order in group {
        let outcome = if order.clears_log() && !cleared {
            Err(broke("what was deleted is still in the log"))
        } else {
            Ok(())
        };
        order.answer(outcome);
    }
}

/// Moves what is in the log to its places and cuts the log to nothing.
pub(super) fn clear_log(connection: &Connection) -> bool {
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
