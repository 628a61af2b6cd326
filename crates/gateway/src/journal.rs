//! The journal of a node: what WhatsApp told its sessions and the router has not stored yet, in one
//! SQLite file beside the device keys.
//!
//! WhatsApp forgets a message when the node acknowledges it, so that a message is on disk here first.
//! Items are removed when the router has stored them. Concurrent writes of all sessions share
//! commits. The journal is bounded: a full journal makes WhatsApp keep further messages.
//!
//! Decision: ADR 0047.

mod delivery_queue;
mod events;
mod item;
mod opening;
mod rows;
mod stats;
#[cfg(test)]
mod tests;
mod usage;

use std::{
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::{Notify, mpsc};

use self::{
    delivery_queue::{Claim, DeliveryQueue},
    events::EventWrite,
    item::Row,
    stats::Counters,
    usage::{Amount, Usage},
};
pub(crate) use self::{
    item::{NewItem, message_key, undecryptable_key},
    rows::{LAYOUT, StoredItem},
    usage::JournalLimits,
};
use crate::{
    data_folder::create_private_folder,
    fair_permits::Group,
    session_name::SessionName,
    sqlite::{Database, Result, database_error},
};

/// The name of the file in the data folder.
pub(crate) const FILE_NAME: &str = "journal.db";
/// Wait before a failed read is repeated.
const READ_RETRY: Duration = Duration::from_millis(200);
/// Items in one request to the router, and their size in bytes. A single item may be larger.
pub(crate) const MAX_DELIVERY_ITEMS: usize = 500;
const MAX_DELIVERY_BYTES: usize = 1 << 20;
/// Sessions in one request to the router.
const MAX_DELIVERY_SESSIONS: usize = 64;
/// Bounds of the wait before the items of a session that the router refused are sent again.
const MIN_REFUSED_WAIT: Duration = Duration::from_secs(1);
const MAX_REFUSED_WAIT: Duration = Duration::from_secs(300);

/// The journal of all sessions.
pub(crate) struct Journal {
    database: Database,
    /// Random text, new with every new file.
    name: String,
    usage: Mutex<Usage>,
    /// Notified when items were removed.
    room: Notify,
    queue: Mutex<DeliveryQueue>,
    /// Notified when a session is ready for delivery.
    ready: Notify,
    events: mpsc::UnboundedSender<EventWrite>,
    /// Whether the log of the file contains deleted items.
    deleted: AtomicBool,
    counters: Counters,
}

/// Items of one session whose space is reserved.
#[derive(Clone)]
struct Append {
    source: Source,
    rows: Vec<Row>,
    amount: Amount,
}

/// The session of an item, and the group that its size counts for.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) session: SessionName,
    pub(crate) group: Group,
}

/// The next items of some sessions, on their way to the router.
pub(crate) struct Batch {
    pub(crate) sessions: Vec<(SessionName, Vec<StoredItem>)>,
}

impl Journal {
    /// Opens the file, and creates it if it does not exist. A damaged file is moved aside. Blocks.
    ///
    /// # Errors
    /// Fails when the folder cannot be used and when a newer program wrote the file.
    pub(crate) async fn open(data: &Path, limits: JournalLimits) -> anyhow::Result<Arc<Self>> {
        create_private_folder(data)?;
        let database = opening::open_or_replace(&data.join(FILE_NAME))?;
        let fresh_name = format!("{:032x}", rand::random::<u128>());
        let loaded = database.write(move |connection| rows::load(connection, &fresh_name)).await?;
        let mut usage = Usage::new(limits);
        for (group, amount) in loaded.amounts {
            usage.add(&group, amount);
        }
        let mut queue = DeliveryQueue::default();
        for (session, newest) in loaded.newest {
            if let Some(session) = SessionName::parse(&session) {
                queue.appended(&session, newest);
            }
        }
        let (events, receiver) = mpsc::unbounded_channel();
        let journal = Arc::new(Self {
            database,
            name: loaded.name,
            usage: Mutex::new(usage),
            room: Notify::new(),
            queue: Mutex::new(queue),
            ready: Notify::new(),
            events,
            deleted: AtomicBool::new(false),
            counters: Counters::default(),
        });
        tokio::spawn(events::write(Arc::downgrade(&journal), receiver));
        Ok(journal)
    }

    /// The name of the file's contents: sequence numbers of another journal cannot be compared.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Appends messages in one transaction, which is on disk on return. Waits while the journal is
    /// full. Items whose key the journal has are left out.
    pub(crate) async fn append(
        self: &Arc<Self>,
        source: &Source,
        items: Vec<NewItem>,
    ) -> Result<()> {
        let rows = items.into_iter().map(NewItem::into_row).collect::<Result<Vec<_>>>()?;
        let amount = Amount::of(&rows);
        self.wait_for_room(&source.group, amount).await;
        let (journal, source) = (self.clone(), source.clone());
        // The engine may drop the caller. What was committed must then still become ready.
        let append = Append { source, rows, amount };
        let written = tokio::spawn(async move { journal.write_reserved(vec![append]).await });
        written.await.unwrap_or_else(|_| Err(database_error("the append panicked")))
    }

    /// Appends an item that cannot wait, in the background and beyond the limits of the journal.
    pub(crate) fn append_event(&self, source: &Source, item: NewItem) {
        self.push_event(source, item, false);
    }

    /// Appends a receipt in the background. A journal far beyond its limits drops the receipt; a
    /// later receipt of the same chat tells more.
    pub(crate) fn append_receipt(&self, source: &Source, item: NewItem) {
        self.push_event(source, item, true);
    }

    fn push_event(&self, source: &Source, item: NewItem, droppable: bool) {
        let row = match item.into_row() {
            Ok(row) => row,
            Err(error) => return tracing::error!(%error, "an item cannot be serialized"),
        };
        let rows = vec![row];
        let amount = Amount::of(&rows);
        let mut usage = self.usage();
        if droppable && !usage.fits_reserve(&source.group, amount) {
            self.counters.dropped_receipts.fetch_add(1, Ordering::Relaxed);
            return;
        }
        usage.add(&source.group, amount);
        drop(usage);
        // The task lives as long as the journal.
        let append = Append { source: source.clone(), rows, amount };
        let _ = self.events.send(EventWrite::Append(append));
    }

    /// Waits until all earlier events are on disk.
    pub(crate) async fn flush(&self) {
        let (done, flushed) = tokio::sync::oneshot::channel();
        if self.events.send(EventWrite::Flush(done)).is_ok() {
            let _ = flushed.await;
        }
    }

    /// Removes the items of a session. On return, no file contains them.
    pub(crate) async fn forget(&self, session: &SessionName) -> Result<()> {
        self.flush().await;
        self.queue().forget(session);
        let name = session.as_str().to_owned();
        let removed =
            move |connection: &rusqlite::Connection| rows::delete(connection, &name, None);
        let removed = self.database.write(removed).await?;
        self.release(&removed);
        self.database.erase(|_| Ok(())).await
    }

    /// Removes deleted items from the log of the file if the journal is empty and items were deleted
    /// since the last call.
    pub(crate) async fn clear_log_if_empty(&self) -> Result<()> {
        let is_empty = self.usage().total().items == 0;
        if is_empty && self.deleted.swap(false, Ordering::Relaxed) {
            self.database.erase(|_| Ok(())).await?;
        }
        Ok(())
    }

    /// Waits for items and claims them. The batch must be settled or put back.
    pub(crate) async fn next_batch(&self) -> Batch {
        loop {
            let ready = self.ready.notified();
            tokio::pin!(ready);
            ready.as_mut().enable();
            let (claims, more) = {
                let mut queue = self.queue();
                (queue.claim(MAX_DELIVERY_SESSIONS), queue.has_ready())
            };
            if more {
                self.ready.notify_one();
            }
            if claims.is_empty() {
                ready.await;
                continue;
            }
            match self.read(claims.clone()).await {
                Ok(batch) if batch.sessions.is_empty() => {}
                Ok(batch) => return batch,
                Err(error) => {
                    tracing::error!(%error, "cannot read the journal; retrying");
                    tokio::time::sleep(READ_RETRY).await;
                    self.return_claims(claims.iter().map(|claim| &claim.session));
                }
            }
        }
    }

    /// Reads the items of the claimed sessions, and returns the claims of sessions without items in
    /// the batch.
    async fn read(&self, claims: Vec<Claim>) -> Result<Batch> {
        let limit = (MAX_DELIVERY_ITEMS / claims.len().max(1)).max(1);
        let work = claims.clone();
        let read = move |connection: &rusqlite::Connection| {
            let mut bytes = MAX_DELIVERY_BYTES;
            let mut sessions = Vec::with_capacity(work.len());
            for claim in work {
                let items = rows::read(connection, &claim, limit, &mut bytes)?;
                sessions.push((claim, items));
            }
            Ok(sessions)
        };
        let mut batch = Batch { sessions: Vec::new() };
        for (claim, items) in self.database.read(read).await? {
            match items {
                Some(items) if items.is_empty() => {
                    self.queue().settle(&claim.session, claim.newest);
                }
                Some(items) => batch.sessions.push((claim.session, items)),
                None => self.return_claims([&claim.session]),
            }
        }
        Ok(batch)
    }

    /// Records what the router has stored: removes those items, and makes the rest ready.
    pub(crate) async fn settle(&self, session: &SessionName, through: u64, count: u64) {
        self.counters.delivered.fetch_add(count, Ordering::Relaxed);
        let name = session.as_str().to_owned();
        let trim =
            move |connection: &rusqlite::Connection| rows::delete(connection, &name, Some(through));
        match self.database.write(trim).await {
            Ok(removed) => {
                self.deleted.store(true, Ordering::Relaxed);
                self.release(&removed);
            }
            // The next removal includes these items.
            Err(error) => tracing::error!(%error, "cannot trim the journal"),
        }
        self.queue().settle(session, through);
        self.ready.notify_one();
    }

    /// Makes the items of a failed request ready again.
    pub(crate) fn put_back<'a>(&self, sessions: impl IntoIterator<Item = &'a SessionName>) {
        self.counters.retried.fetch_add(1, Ordering::Relaxed);
        self.return_claims(sessions);
    }

    /// Sends the items of a session again later, in requests of their own, because the router did
    /// not store them.
    pub(crate) fn put_back_refused(self: &Arc<Self>, session: &SessionName, count: u64) {
        self.counters.refused.fetch_add(count, Ordering::Relaxed);
        let Some(failures) = self.queue().refuse(session) else { return };
        let wait =
            (MIN_REFUSED_WAIT * 2_u32.saturating_pow(failures.min(16))).min(MAX_REFUSED_WAIT);
        let (journal, session) = (self.clone(), session.clone());
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            journal.queue().resume(&session);
            journal.ready.notify_one();
        });
    }

    async fn wait_for_room(&self, group: &Group, amount: Amount) {
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            if self.usage().reserve(group, amount) {
                return;
            }
            room.await;
        }
    }

    /// Writes rows whose amounts are reserved, and makes their sessions ready.
    async fn write_reserved(&self, appends: Vec<Append>) -> Result<()> {
        let reserved: Vec<_> =
            appends.iter().map(|append| (append.source.group.clone(), append.amount)).collect();
        let write = move |connection: &rusqlite::Connection| {
            let inserted = appends.iter().map(|Append { source, rows, .. }| {
                Ok((source.clone(), rows::insert(connection, source, rows)?))
            });
            inserted.collect::<Result<Vec<_>>>()
        };
        let written = self.database.write(write).await;
        let mut usage = self.usage();
        for (group, amount) in &reserved {
            usage.remove(group, *amount);
        }
        for (source, inserted) in written.iter().flatten() {
            usage.add(&source.group, inserted.amount);
        }
        drop(usage);
        let mut queue = self.queue();
        for (source, inserted) in written.iter().flatten() {
            if let Some(newest) = inserted.newest {
                queue.appended(&source.session, newest);
            }
        }
        drop(queue);
        self.ready.notify_one();
        self.room.notify_waiters();
        written.map(drop)
    }

    fn return_claims<'a>(&self, sessions: impl IntoIterator<Item = &'a SessionName>) {
        let mut queue = self.queue();
        for session in sessions {
            queue.put_back(session);
        }
        drop(queue);
        self.ready.notify_one();
    }

    fn release(&self, removed: &[(Group, Amount)]) {
        let mut usage = self.usage();
        for (group, amount) in removed {
            usage.remove(group, *amount);
        }
        drop(usage);
        self.room.notify_waiters();
    }

    fn usage(&self) -> MutexGuard<'_, Usage> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self) -> MutexGuard<'_, DeliveryQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
