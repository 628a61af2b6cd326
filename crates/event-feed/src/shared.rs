//! The state that the tail, the readers and the watchers of organizations share.

use std::{sync::Arc, time::Duration};

use domain::{
    KeyId,
    ports::{Feed, OrganizationFeed},
};
use tokio::sync::{Notify, Semaphore, broadcast};

use crate::{
    organization_watcher::OrganizationWatchers, rendered_event::Renderer,
    subscriptions::Subscriptions,
};

/// Maximum number of concurrent reads of the store for readers behind the recent events.
const MAX_STORE_READS: usize = 8;
/// Number of revocations that a subscriber may lag behind.
const MAX_REVOCATIONS: usize = 1024;

/// The stores and the settings of the feed.
#[derive(Clone)]
pub struct FeedPorts {
    /// Reads the events of all organizations.
    pub all: Arc<dyn Feed>,
    /// Reads the events of one organization.
    pub organizations: Arc<dyn OrganizationFeed>,
    /// Renders events.
    pub render: Renderer,
    /// Interval of the reads while there are subscribers. Commits of this process are read at once.
    pub interval: Duration,
}

pub(crate) struct Shared {
    pub(crate) ports: FeedPorts,
    pub(crate) subscriptions: Arc<Subscriptions>,
    pub(crate) watchers: OrganizationWatchers,
    /// Limits the reads of the store for readers behind the recent events.
    pub(crate) store_reads: Semaphore,
    pub(crate) revocations: broadcast::Sender<KeyId>,
    /// Wakes the tail.
    pub(crate) wake: Notify,
}

impl Shared {
    pub(crate) fn new(ports: FeedPorts) -> Self {
        Self {
            ports,
            subscriptions: Arc::default(),
            watchers: OrganizationWatchers::default(),
            store_reads: Semaphore::new(MAX_STORE_READS),
            revocations: broadcast::Sender::new(MAX_REVOCATIONS),
            wake: Notify::new(),
        }
    }

    pub(crate) fn has_subscribers(&self) -> bool {
        self.subscriptions.exist() || self.watchers.exist()
    }
}
