//! Distributes the events of all organizations to the streams and webhooks of this process.
//!
//! One task, the [tail](tail::Tail), reads new events in the order of their positions and puts each
//! rendered event into the recent events of its organization, if anybody reads there. A
//! [`FeedReader`] is a position: it reads the recent events, or the store when these no longer reach
//! back to its position. Nothing is queued for a reader, so a slow reader costs no memory and loses
//! no event. [`ActivityWatch`] wakes a task that reads for many organizations.
//!
//! Decision: ADR 0038.

mod activity;
mod delay;
mod reader;
mod recent_events;
mod rendered_event;
mod subscriptions;
mod tail;

use std::{sync::Arc, time::Duration};

use domain::{
    EventId, FeedFilter, FeedFloor, FeedPosition, FeedRights, KeyId,
    ports::{Feed, OrganizationFeed, PortResult},
};
use tokio::sync::{Notify, Semaphore, broadcast};
use tokio_util::sync::CancellationToken;

use self::{
    activity::ActivitySubscribers,
    subscriptions::{Subscription, Subscriptions},
    tail::Tail,
};
pub use self::{
    activity::{ActivityWatch, FeedActivity},
    reader::{FeedError, FeedReader},
    rendered_event::{RenderedEvent, Renderer},
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

/// The feed of this process. Clones share their state.
#[derive(Clone)]
pub struct EventFeed(Arc<Shared>);

struct Shared {
    ports: FeedPorts,
    subscriptions: Subscriptions,
    activity: ActivitySubscribers,
    store_reads: Semaphore,
    revocations: broadcast::Sender<KeyId>,
    /// Wakes the tail.
    wake: Notify,
}

impl Shared {
    fn has_subscribers(&self) -> bool {
        self.subscriptions.exist() || self.activity.exist()
    }
}

impl EventFeed {
    /// Creates a feed. [`EventFeed::run`] distributes its events.
    pub fn new(ports: FeedPorts) -> Self {
        Self(Arc::new(Shared {
            ports,
            subscriptions: Subscriptions::default(),
            activity: ActivitySubscribers::default(),
            store_reads: Semaphore::new(MAX_STORE_READS),
            revocations: broadcast::Sender::new(MAX_REVOCATIONS),
            wake: Notify::new(),
        }))
    }

    /// Distributes events until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        stop.run_until_cancelled_owned(Tail::new(self.0).run()).await;
    }

    /// Reports that this process committed events, so that its readers get them at once.
    pub fn committed(&self) {
        if self.0.has_subscribers() {
            self.0.wake.notify_one();
        }
    }

    /// Subscribes to the events after a position that the reader may see and asks for. A position
    /// that retention passed fails at the first read.
    pub fn subscribe(
        &self,
        rights: FeedRights,
        filter: FeedFilter,
        after: FeedPosition,
    ) -> FeedReader {
        let subscription = Subscription::new(self.0.clone(), rights.scope().organization());
        self.0.wake.notify_one();
        FeedReader::new(subscription, rights, filter, after)
    }

    /// Subscribes to the names of organizations with new events.
    pub fn activity(&self) -> ActivityWatch {
        let activity = ActivityWatch::new(&self.0.activity);
        self.0.wake.notify_one();
        activity
    }

    /// Returns the ids of API keys that are revoked from now on, by any process, while this process
    /// has subscribers. A receiver that lags misses revocations and must look up its key.
    pub fn revocations(&self) -> broadcast::Receiver<KeyId> {
        self.0.revocations.subscribe()
    }

    /// Returns the position up to which every event is committed. A new stream begins there.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn horizon(&self) -> PortResult<FeedPosition> {
        Ok(self.0.ports.all.horizon().await?.safe)
    }

    /// Returns the position of an event. `None` for an event that retention removed, that is of
    /// another organization, that is hidden from the reader, or that never existed.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn position_of(
        &self,
        rights: &FeedRights,
        event: &EventId,
    ) -> PortResult<Option<FeedPosition>> {
        self.0.ports.organizations.position_of(rights, event).await
    }

    /// Returns the start of the organization's feed.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn floor(&self, rights: &FeedRights) -> PortResult<FeedFloor> {
        self.0.ports.organizations.floor(rights).await
    }
}
