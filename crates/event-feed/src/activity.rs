//! Wakes tasks that read for many organizations.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Weak},
};

use domain::{EventName, FeedEvent, OrganizationId};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Maximum number of organizations in the activity of one subscriber. More become "any organization".
const MAX_ORGANIZATIONS: usize = 10_000;

/// The organizations with new events since the previous activity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeedActivity {
    /// Organizations with the kinds of their new events.
    pub organizations: HashMap<OrganizationId, HashSet<EventName>>,
    /// Whether any other organization may have new events of any kind: at the start, after the
    /// database lost commits, and when the subscriber is far behind.
    pub any: bool,
}

impl FeedActivity {
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

/// The activity of one subscriber that it has not taken yet.
#[derive(Default)]
struct Pending {
    activity: Mutex<FeedActivity>,
    changed: Notify,
}

impl Pending {
    fn change(&self, change: impl FnOnce(&mut FeedActivity)) {
        change(&mut self.activity.lock());
        self.changed.notify_one();
    }
}

/// The subscribers of activity.
#[derive(Default)]
pub(crate) struct ActivitySubscribers(Mutex<Vec<Weak<Pending>>>);

impl ActivitySubscribers {
    pub(crate) fn exist(&self) -> bool {
        self.0.lock().iter().any(|one| one.strong_count() > 0)
    }

    /// Tells subscribers of new events.
    pub(crate) fn add(&self, found: &[FeedEvent]) {
        if !found.is_empty() {
            self.change_all(|activity| activity.add(found));
        }
    }

    /// Tells subscribers that any organization may have new events.
    pub(crate) fn add_any(&self) {
        self.change_all(|activity| activity.any = true);
    }

    fn change_all(&self, change: impl Fn(&mut FeedActivity)) {
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
pub struct ActivityWatch {
    pending: Arc<Pending>,
}

impl ActivityWatch {
    pub(crate) fn new(subscribers: &ActivitySubscribers) -> Self {
        let pending = Arc::<Pending>::default();
        pending.change(|activity| activity.any = true);
        subscribers.0.lock().push(Arc::downgrade(&pending));
        Self { pending }
    }

    /// Waits for activity and returns it. The first one says that any organization may have new
    /// events. Cancel safe.
    pub async fn next(&mut self) -> FeedActivity {
        loop {
            let activity = std::mem::take(&mut *self.pending.activity.lock());
            if !activity.is_empty() {
                return activity;
            }
            self.pending.changed.notified().await;
        }
    }
}
