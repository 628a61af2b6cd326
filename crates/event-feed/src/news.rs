//! Wakes tasks that read for many organizations.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Weak},
};

use domain::{EventName, FeedEvent, OrganizationId};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Maximum number of organizations in the news of one subscriber. More become "any organization".
const MAX_ORGANIZATIONS: usize = 10_000;

/// The organizations with new events since the previous news.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeedNews {
    /// Organizations with the kinds of their new events.
    pub organizations: HashMap<OrganizationId, HashSet<EventName>>,
    /// Whether any other organization may have new events of any kind: at the start, after the
    /// database lost commits, and when the subscriber is far behind.
    pub any: bool,
}

impl FeedNews {
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

/// The news of one subscriber that it has not taken yet.
#[derive(Default)]
struct Pending {
    news: Mutex<FeedNews>,
    changed: Notify,
}

impl Pending {
    fn change(&self, change: impl FnOnce(&mut FeedNews)) {
        change(&mut self.news.lock());
        self.changed.notify_one();
    }
}

/// The subscribers of news.
#[derive(Default)]
pub(crate) struct NewsSubscribers(Mutex<Vec<Weak<Pending>>>);

impl NewsSubscribers {
    pub(crate) fn exist(&self) -> bool {
        self.0.lock().iter().any(|one| one.strong_count() > 0)
    }

    /// Tells subscribers of new events.
    pub(crate) fn add(&self, found: &[FeedEvent]) {
        if !found.is_empty() {
            self.change_all(|news| news.add(found));
        }
    }

    /// Tells subscribers that any organization may have new events.
    pub(crate) fn add_any(&self) {
        self.change_all(|news| news.any = true);
    }

    fn change_all(&self, change: impl Fn(&mut FeedNews)) {
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
pub struct News {
    pending: Arc<Pending>,
}

impl News {
    pub(crate) fn new(subscribers: &NewsSubscribers) -> Self {
        let pending = Arc::<Pending>::default();
        pending.change(|news| news.any = true);
        subscribers.0.lock().push(Arc::downgrade(&pending));
        Self { pending }
    }

    /// Waits for news and returns them. The first news are that any organization may have new
    /// events. Cancel safe.
    pub async fn next(&mut self) -> FeedNews {
        loop {
            let news = std::mem::take(&mut *self.pending.news.lock());
            if !news.is_empty() {
                return news;
            }
            self.pending.changed.notified().await;
        }
    }
}
