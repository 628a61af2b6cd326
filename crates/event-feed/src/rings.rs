//! The rings of the organizations that have listeners, and the position up to which the tail has
//! filled them.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use domain::{FeedPosition, OrganizationId};
use tokio::sync::{Notify, futures::OwnedNotified};

use crate::{
    EventFeed,
    ring::{RenderedEvent, Ring},
};

/// Maximum number of bytes of the texts in all rings.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// The rings, and the position of the tail, which change together.
#[derive(Default)]
pub(crate) struct Rings {
    table: Mutex<Table>,
    listeners: AtomicUsize,
}

#[derive(Default)]
struct Table {
    /// Every event up to this position is in its ring.
    position: FeedPosition,
    rings: HashMap<OrganizationId, ListenedRing>,
    bytes: usize,
    /// Increases with every read of a ring.
    reads: u64,
}

struct ListenedRing {
    ring: Ring,
    listeners: usize,
    /// The value of `reads` at the newest read.
    read_at: u64,
    changed: Arc<Notify>,
}

/// What a reader finds in the ring of its organization.
pub(crate) enum RingRead {
    /// The events after the reader's position; none remains after the last up to `until`.
    Events { events: Vec<Arc<RenderedEvent>>, until: FeedPosition },
    /// The ring begins after the reader's position. The store has the events up to `until`.
    TooFarBack { until: FeedPosition },
}

impl Rings {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn has_listeners(&self) -> bool {
        self.listeners.load(Ordering::Relaxed) > 0
    }

    /// Returns the position of the tail.
    pub(crate) fn position(&self) -> FeedPosition {
        self.table().position
    }

    /// Moves the position without events: while no organization has a listener, or back to an older
    /// position after the database lost commits.
    pub(crate) fn jump_to(&self, position: FeedPosition) {
        let mut table = self.table();
        table.position = position;
        table.bytes = 0;
        for listened in table.rings.values_mut() {
            listened.ring = Ring::new(position);
            listened.changed.notify_waiters();
        }
    }

    /// Adds events of listened organizations in the order of their positions, and moves the
    /// position.
    pub(crate) fn push(&self, events: Vec<RenderedEvent>, until: FeedPosition) {
        let mut table = self.table();
        let mut changed = HashMap::new();
        for event in events {
            let Some(listened) = table.rings.get_mut(&event.organization) else { continue };
            let before = listened.ring.bytes();
            changed.entry(event.organization.clone()).or_insert_with(|| listened.changed.clone());
            listened.ring.push(event);
            table.bytes = table.bytes + listened.ring.bytes() - before;
        }
        table.position = until;
        table.drop_least_read();
        metrics::gauge!("berth_feed_ring_bytes")
            .set(f64::from(u32::try_from(table.bytes).unwrap_or(u32::MAX)));
        drop(table);
        changed.values().for_each(|ring| ring.notify_waiters());
    }

    /// Returns which of these organizations have listeners.
    pub(crate) fn listened<'a>(
        &self,
        organizations: impl Iterator<Item = &'a OrganizationId>,
    ) -> Vec<bool> {
        let table = self.table();
        organizations.map(|one| table.rings.contains_key(one)).collect()
    }
}

impl Table {
    fn drop_least_read(&mut self) {
        while self.bytes > MAX_BYTES {
            let filled = self.rings.values_mut().filter(|it| it.ring.bytes() > 0);
            let Some(least) = filled.min_by_key(|it| it.read_at) else { return };
            self.bytes -= least.ring.bytes();
            least.ring.clear();
        }
    }
}

/// Keeps the ring of an organization filled until dropped.
pub struct Listener {
    feed: EventFeed,
    organization: OrganizationId,
    changed: Arc<Notify>,
}

impl Listener {
    pub(crate) fn new(feed: EventFeed, organization: OrganizationId) -> Self {
        let rings = &feed.0.rings;
        rings.listeners.fetch_add(1, Ordering::Relaxed);
        let mut table = rings.table();
        let Table { position, rings: all, reads, .. } = &mut *table;
        let listened = all.entry(organization.clone()).or_insert_with(|| ListenedRing {
            ring: Ring::new(*position),
            listeners: 0,
            read_at: *reads,
            changed: Arc::default(),
        });
        listened.listeners += 1;
        let changed = listened.changed.clone();
        drop(table);
        Self { feed, organization, changed }
    }

    /// Returns the feed.
    pub(crate) fn feed(&self) -> &EventFeed {
        &self.feed
    }

    /// Completes when the tail adds events of the organization after this call.
    pub fn changed(&self) -> OwnedNotified {
        self.changed.clone().notified_owned()
    }

    /// Reads the ring after a position.
    pub(crate) fn read(&self, after: FeedPosition, limit: usize) -> RingRead {
        let mut table = self.feed.0.rings.table();
        let Table { position, rings, reads, .. } = &mut *table;
        let until = *position;
        let Some(listened) = rings.get_mut(&self.organization) else {
            return RingRead::TooFarBack { until };
        };
        *reads += 1;
        listened.read_at = *reads;
        let Some(found) = listened.ring.after(after) else {
            return RingRead::TooFarBack { until };
        };
        let events: Vec<_> = found.take(limit).cloned().collect();
        let until = match events.last() {
            Some(last) if events.len() == limit => last.position,
            _ => until.max(after),
        };
        RingRead::Events { events, until }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let rings = &self.feed.0.rings;
        let mut table = rings.table();
        if let Some(listened) = table.rings.get_mut(&self.organization) {
            listened.listeners -= 1;
            if listened.listeners == 0 {
                let bytes = listened.ring.bytes();
                table.rings.remove(&self.organization);
                table.bytes -= bytes;
            }
        }
        drop(table);
        rings.listeners.fetch_sub(1, Ordering::Relaxed);
    }
}
