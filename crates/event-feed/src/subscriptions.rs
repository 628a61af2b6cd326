//! The recent events of the organizations that have readers, and the position of the tail.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use domain::{FeedPosition, OrganizationId};
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, futures::OwnedNotified};

use crate::{recent_events::RecentEvents, rendered_event::RenderedEvent};

/// Maximum number of bytes of all recent events.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// Maximum number of concurrent reads of the store for readers of one organization.
const MAX_STORE_READS: usize = 2;

/// The subscribed organizations.
#[derive(Default)]
pub(crate) struct Subscriptions {
    table: Mutex<Table>,
    /// Number of subscriptions.
    count: AtomicUsize,
}

#[derive(Default)]
struct Table {
    /// Position of the tail: every event up to this position is in the recent events.
    position: FeedPosition,
    organizations: HashMap<OrganizationId, Subscribed>,
    bytes: usize,
    /// Increases with every read.
    reads: u64,
}

/// An organization with subscriptions.
struct Subscribed {
    recent: RecentEvents,
    subscriptions: usize,
    /// The value of `reads` at the newest read.
    read_at: u64,
    changed: Arc<Notify>,
    store_reads: Arc<Semaphore>,
}

/// What a reader finds in the recent events.
pub(crate) enum RecentRead {
    /// The events after the reader's position. No event remains after the last up to `until`.
    Events { events: Vec<Arc<RenderedEvent>>, until: FeedPosition },
    /// The recent events begin after the reader's position. The store has the events up to `until`.
    TooFarBack { until: FeedPosition },
    /// The reader's position is ahead of the tail.
    Ahead,
}

impl Subscriptions {
    pub(crate) fn exist(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }

    /// Returns the position of the tail.
    pub(crate) fn position(&self) -> FeedPosition {
        self.table.lock().position
    }

    /// Moves the position without events: while there are no subscribers, or back to an older
    /// position after the database lost commits.
    pub(crate) fn jump_to(&self, position: FeedPosition) {
        let mut table = self.table.lock();
        table.position = position;
        table.bytes = 0;
        for subscribed in table.organizations.values_mut() {
            subscribed.recent = RecentEvents::new(position);
            subscribed.changed.notify_waiters();
        }
        table.report_bytes();
    }

    /// Adds events of subscribed organizations in the order of their positions, and moves the
    /// position. `others` have further events up to the position: an organization whose first
    /// subscription began since [`Self::are_subscribed`] has them in the store only.
    pub(crate) fn push<'a>(
        &self,
        events: Vec<Arc<RenderedEvent>>,
        others: impl Iterator<Item = &'a OrganizationId>,
        until: FeedPosition,
    ) {
        let mut locked = self.table.lock();
        let table = &mut *locked;
        let mut changed = HashMap::new();
        for event in events {
            let Some(subscribed) = table.organizations.get_mut(&event.organization) else {
                continue;
            };
            changed.entry(event.organization.clone()).or_insert_with(|| subscribed.changed.clone());
            table.bytes -= subscribed.recent.bytes();
            subscribed.recent.push(event);
            table.bytes += subscribed.recent.bytes();
        }
        for organization in others {
            let Some(subscribed) = table.organizations.get_mut(organization) else { continue };
            table.bytes -= subscribed.recent.bytes();
            subscribed.recent = RecentEvents::new(until);
            changed.entry(organization.clone()).or_insert_with(|| subscribed.changed.clone());
        }
        table.position = until;
        table.drop_least_read();
        table.report_bytes();
        drop(locked);
        for organization in changed.values() {
            organization.notify_waiters();
        }
    }

    /// Returns whether the organization of each event has subscriptions.
    pub(crate) fn are_subscribed<'a>(
        &self,
        organizations: impl Iterator<Item = &'a OrganizationId>,
    ) -> Vec<bool> {
        let table = self.table.lock();
        organizations.map(|one| table.organizations.contains_key(one)).collect()
    }
}

impl Table {
    fn drop_least_read(&mut self) {
        while self.bytes > MAX_BYTES {
            let filled = self.organizations.values_mut().filter(|it| it.recent.bytes() > 0);
            let Some(least) = filled.min_by_key(|it| it.read_at) else { return };
            self.bytes -= least.recent.bytes();
            least.recent.clear();
        }
    }

    fn report_bytes(&self) {
        // 64 MiB and one event are exact in an `f64`.
        let bytes = u32::try_from(self.bytes).unwrap_or(u32::MAX);
        metrics::gauge!("berth_feed_ring_bytes").set(f64::from(bytes));
    }
}

/// Keeps the recent events of an organization filled until dropped.
pub(crate) struct Subscription {
    subscriptions: Arc<Subscriptions>,
    organization: OrganizationId,
    changed: Arc<Notify>,
    store_reads: Arc<Semaphore>,
}

impl Subscription {
    pub(crate) fn new(subscriptions: Arc<Subscriptions>, organization: &OrganizationId) -> Self {
        subscriptions.count.fetch_add(1, Ordering::Relaxed);
        let mut locked = subscriptions.table.lock();
        let Table { position, organizations, reads, .. } = &mut *locked;
        let subscribed = organizations.entry(organization.clone()).or_insert_with(|| Subscribed {
            recent: RecentEvents::new(*position),
            subscriptions: 0,
            read_at: *reads,
            changed: Arc::default(),
            store_reads: Arc::new(Semaphore::new(MAX_STORE_READS)),
        });
        subscribed.subscriptions += 1;
        let (changed, store_reads) = (subscribed.changed.clone(), subscribed.store_reads.clone());
        drop(locked);
        Self { subscriptions, organization: organization.clone(), changed, store_reads }
    }

    /// Limits the reads of the store for the organization.
    pub(crate) fn store_reads(&self) -> &Semaphore {
        &self.store_reads
    }

    /// Completes when the tail adds events of the organization after this call.
    pub(crate) fn changed(&self) -> OwnedNotified {
        self.changed.clone().notified_owned()
    }

    /// Reads at most `limit` recent events after a position.
    pub(crate) fn read(&self, after: FeedPosition, limit: usize) -> RecentRead {
        let mut locked = self.subscriptions.table.lock();
        let Table { position, organizations, reads, .. } = &mut *locked;
        let until = *position;
        if after > until {
            return RecentRead::Ahead;
        }
        let Some(subscribed) = organizations.get_mut(&self.organization) else {
            return RecentRead::TooFarBack { until };
        };
        *reads += 1;
        subscribed.read_at = *reads;
        let Some(found) = subscribed.recent.after(after) else {
            return RecentRead::TooFarBack { until };
        };
        let events: Vec<_> = found.take(limit).cloned().collect();
        let until = match events.last() {
            Some(last) if events.len() == limit => last.position,
            _ => until,
        };
        RecentRead::Events { events, until }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let subscriptions = &self.subscriptions;
        let mut locked = subscriptions.table.lock();
        let table = &mut *locked;
        if let Some(subscribed) = table.organizations.get_mut(&self.organization) {
            subscribed.subscriptions -= 1;
            if subscribed.subscriptions == 0 {
                table.bytes -= subscribed.recent.bytes();
                table.organizations.remove(&self.organization);
                table.report_bytes();
            }
        }
        drop(locked);
        subscriptions.count.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use domain::{EventId, EventName};

    use super::*;

    const LARGE: usize = 512 * 1024;

    fn organization(number: u64) -> OrganizationId {
        OrganizationId::parse(&format!("org-{number}")).unwrap()
    }

    fn event(position: u64, organization: &OrganizationId) -> Arc<RenderedEvent> {
        Arc::new(RenderedEvent {
            position: FeedPosition::from_number(position),
            id: EventId::from_bits(position.into()),
            name: EventName::SessionStatus,
            organization: organization.clone(),
            session: None,
            sequence: 0,
            text: vec![b'x'; LARGE].into(),
        })
    }

    #[test]
    fn recent_events_of_all_organizations_are_bounded_and_the_least_read_are_dropped() {
        let subscriptions = Arc::<Subscriptions>::default();
        let subscribed: Vec<_> =
            (0..200).map(|n| Subscription::new(subscriptions.clone(), &organization(n))).collect();
        for n in 0..200 {
            let position = FeedPosition::from_number(n + 1);
            // Each organization is read once, and organization 0 all the time.
            subscribed[usize::try_from(n).unwrap()].read(FeedPosition::START, 9);
            subscriptions.push(vec![event(n + 1, &organization(n))], [].iter(), position);
            let found = subscribed[0].read(FeedPosition::START, 9);
            assert!(matches!(found, RecentRead::Events { events, .. } if events.len() == 1));
            assert!(subscriptions.table.lock().bytes <= MAX_BYTES);
        }
        let kept = subscribed.iter().filter(|one| {
            matches!(one.read(FeedPosition::START, 9), RecentRead::Events { events, .. } if !events.is_empty())
        });
        let kept = kept.count();
        assert!((100..MAX_BYTES / LARGE).contains(&kept), "{kept} of 200 organizations");
        let dropped = subscribed[1].read(FeedPosition::START, 9);
        assert!(matches!(dropped, RecentRead::TooFarBack { .. }), "dropped first");
        drop(subscribed);
        let table = subscriptions.table.lock();
        assert_eq!((table.bytes, table.organizations.len()), (0, 0));
        drop(table);
        assert!(!subscriptions.exist());
    }

    #[test]
    fn events_before_a_subscription_that_begins_during_a_read_are_in_the_store() {
        let subscriptions = Arc::<Subscriptions>::default();
        let [subscribed, other] = [1, 2].map(organization);
        let earlier = Subscription::new(subscriptions.clone(), &subscribed);
        let organizations = [&subscribed, &other];
        assert_eq!(subscriptions.are_subscribed(organizations.into_iter()), [true, false]);
        // The tail has decided which events to render, and has not added them yet.
        let late = Subscription::new(subscriptions.clone(), &other);
        let mut told = std::pin::pin!(late.changed());
        told.as_mut().enable();
        let until = FeedPosition::from_number(2);
        subscriptions.push(vec![event(1, &subscribed)], [&other].into_iter(), until);
        let found = late.read(FeedPosition::START, 9);
        assert!(matches!(found, RecentRead::TooFarBack { until } if until.number() == 2));
        assert!(told.enable(), "the reader is not told");
        let found = earlier.read(FeedPosition::START, 9);
        assert!(matches!(found, RecentRead::Events { events, .. } if events.len() == 1));
        subscriptions.push(vec![event(3, &other)], [].iter(), FeedPosition::from_number(3));
        let found = late.read(until, 9);
        assert!(matches!(found, RecentRead::Events { events, .. } if events.len() == 1));
    }
}
