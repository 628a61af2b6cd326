//! Distributes the events of all organizations to the streams and webhooks of this process.
//!
//! One task, the [tail](tail::Tail), reads new events in the order of their positions and puts each
//! rendered event into the recent events of its organization, if anybody reads there. A
//! [`FeedReader`] is a position: it reads the recent events, or the store when these no longer reach
//! back to its position. Nothing is queued for a reader, so a slow reader costs no memory and loses
//! no event. [`OrganizationWatcher`] wakes a task that reads for many organizations.
//!
//! Decision: ADR 0038.

mod delay;
mod organization_watcher;
mod reader;
mod recent_events;
mod rendered_event;
mod shared;
mod subscriptions;
mod tail;

use std::sync::Arc;

use domain::{EventId, FeedFilter, FeedFloor, FeedPosition, FeedRights, KeyId, ports::PortResult};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

pub use self::{
    organization_watcher::{ChangedOrganizations, OrganizationWatcher},
    reader::{FeedError, FeedReader},
    rendered_event::{RenderedEvent, Renderer},
    shared::FeedPorts,
};
use self::{shared::Shared, subscriptions::Subscription, tail::Tail};

/// The feed of this process. Clones share their state.
#[derive(Clone)]
pub struct EventFeed(Arc<Shared>);

impl EventFeed {
    /// Creates a feed. [`EventFeed::run`] distributes its events.
    pub fn new(ports: FeedPorts) -> Self {
        Self(Arc::new(Shared::new(ports)))
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
        let organization = rights.scope().organization();
        let subscription = Subscription::new(self.0.subscriptions.clone(), organization);
        self.0.wake.notify_one();
        FeedReader::new(self.0.clone(), subscription, rights, filter, after)
    }

    /// Subscribes to the names of organizations with new events.
    pub fn watch_organizations(&self) -> OrganizationWatcher {
        let watcher = OrganizationWatcher::new(&self.0.watchers);
        self.0.wake.notify_one();
        watcher
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
