//! Wakes tasks that read for many organizations.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Weak},
};

use domain::{EventName, FeedEvent, OrganizationId};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Maximum number of organizations that one watcher is told by name.
const MAX_ORGANIZATIONS: usize = 10_000;

/// The organizations with new events since the previous call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangedOrganizations {
    /// Organizations with the kinds of their new events.
    pub organizations: HashMap<OrganizationId, HashSet<EventName>>,
    /// Whether any other organization may have new events of any kind: at the start, after the
    /// database lost commits, and when the subscriber is far behind.
    pub any: bool,
}

impl ChangedOrganizations {
    fn is_empty(&self) -> bool {
        self.organizations.is_empty() && !self.any
    }

    fn add(&mut self, found: &[FeedEvent]) {
        for FeedEvent { event, .. } in found {
            if self.organizations.len() >= MAX_ORGANIZATIONS
                && !self.organizations.contains_key(&event.organization)
            {
                *self = Self { any: true, ..Self::default() };
            }
            let kinds = self.organizations.entry(event.organization.clone()).or_default();
            kinds.insert(event.name());
        }
    }
}

/// The organizations that one watcher has not taken yet.
#[derive(Default)]
struct Pending {
    organizations: Mutex<ChangedOrganizations>,
    changed: Notify,
}

impl Pending {
    fn change(&self, change: impl FnOnce(&mut ChangedOrganizations)) {
        change(&mut self.organizations.lock());
        self.changed.notify_one();
    }
}

/// The watchers of all organizations.
#[derive(Default)]
pub(crate) struct OrganizationWatchers(Mutex<Vec<Weak<Pending>>>);

impl OrganizationWatchers {
    pub(crate) fn exist(&self) -> bool {
        self.0.lock().iter().any(|one| one.strong_count() > 0)
    }

    /// Tells subscribers of new events.
    pub(crate) fn add(&self, found: &[FeedEvent]) {
        if !found.is_empty() {
            self.change_all(|changed| changed.add(found));
        }
    }

    /// Tells subscribers that any organization may have new events.
    pub(crate) fn add_any(&self) {
        self.change_all(|changed| changed.any = true);
    }

    fn change_all(&self, change: impl Fn(&mut ChangedOrganizations)) {
        self.0.lock().retain(|one| match one.upgrade() {
            Some(pending) => {
                pending.change(&change);
                true
            }
            None => false,
        });
    }
}

/// A subscription to the organizations with new events.
pub struct OrganizationWatcher {
    pending: Arc<Pending>,
}

impl OrganizationWatcher {
    pub(crate) fn new(subscribers: &OrganizationWatchers) -> Self {
        let pending = Arc::<Pending>::default();
        pending.change(|changed| changed.any = true);
        subscribers.0.lock().push(Arc::downgrade(&pending));
        Self { pending }
    }

    /// Waits for new events and returns their organizations. The first call returns that any
    /// organization may have new events. Cancel safe.
    pub async fn next(&mut self) -> ChangedOrganizations {
        loop {
            let changed = std::mem::take(&mut *self.pending.organizations.lock());
            if !changed.is_empty() {
                return changed;
            }
            self.pending.changed.notified().await;
        }
    }
}
