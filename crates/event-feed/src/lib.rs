//! Distributes the events of all organizations to the streams and webhooks of this process.
//!
//! One task, the [tail](tail::Tail), reads new events in the order of their positions and puts each
//! rendered event into the ring of its organization, if anybody reads there. A [`FeedReader`] is a
//! position: it reads the ring, or the store when the ring no longer reaches back to its position.
//! Nothing is queued for a reader, so a slow reader costs no memory and loses no event.
//!
//! Decision: ADR 0038.

mod reader;
mod ring;
mod rings;
mod tail;

use std::{sync::Arc, time::Duration};

use domain::{
    Event, FeedFilter, FeedPosition, FeedRights, KeyId, OrganizationId,
    ports::{Feed, OrganizationFeed, PortResult},
};
use tokio::sync::{Semaphore, broadcast};
use tokio_util::sync::CancellationToken;

pub use self::{reader::FeedReader, ring::RenderedEvent, rings::Listener};
use self::{rings::Rings, tail::Tail};

/// Maximum number of concurrent reads of the store for readers whose ring does not reach back.
const MAX_CATCH_UP_READS: usize = 8;
/// Number of revocations that a subscriber may lag behind.
const REVOCATIONS: usize = 1024;

/// Renders an event as the JSON text that streams, webhooks and the audit log show.
pub type Renderer = Arc<dyn Fn(&Event) -> String + Send + Sync>;

/// The stores and the settings of the feed.
#[derive(Clone)]
pub struct FeedPorts {
    /// Reads the events of all organizations.
    pub all: Arc<dyn Feed>,
    /// Reads the events of one organization.
    pub organizations: Arc<dyn OrganizationFeed>,
    /// Renders events.
    pub render: Renderer,
    /// Interval of the reads while there are listeners. Own commits are read at once.
    pub interval: Duration,
}

/// The feed of this process. Clones share their state.
#[derive(Clone)]
pub struct EventFeed(Arc<Shared>);

struct Shared {
    ports: FeedPorts,
    rings: Rings,
    catch_up: Semaphore,
    revoked: broadcast::Sender<KeyId>,
    wake: tokio::sync::Notify,
}

impl EventFeed {
    /// Creates a feed. [`EventFeed::run`] distributes its events.
    pub fn new(ports: FeedPorts) -> Self {
        Self(Arc::new(Shared {
            ports,
            rings: Rings::default(),
            catch_up: Semaphore::new(MAX_CATCH_UP_READS),
            revoked: broadcast::Sender::new(REVOCATIONS),
            wake: tokio::sync::Notify::new(),
        }))
    }

    /// Distributes events until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        stop.run_until_cancelled_owned(Tail::new(self.clone()).run()).await;
    }

    /// Reports that this process committed events.
    pub fn committed(&self) {
        if self.0.rings.has_listeners() {
            self.0.wake.notify_one();
        }
    }

    /// Returns the position up to which every event is committed.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn horizon(&self) -> PortResult<FeedPosition> {
        Ok(self.0.ports.all.horizon().await?.safe)
    }

    /// Listens to the events of an organization until dropped.
    pub fn listen(&self, organization: &OrganizationId) -> Listener {
        let listener = Listener::new(self.clone(), organization.clone());
        self.0.wake.notify_one();
        listener
    }

    /// Returns a reader of the events after a position that its owner may see and asks for.
    pub fn reader(
        &self,
        rights: FeedRights,
        filter: FeedFilter,
        after: FeedPosition,
    ) -> FeedReader {
        let listener = self.listen(rights.scope().organization());
        FeedReader::new(listener, rights, filter, after)
    }

    /// Returns the ids of API keys that are revoked from now on, by any router.
    pub fn revocations(&self) -> broadcast::Receiver<KeyId> {
        self.0.revoked.subscribe()
    }
}
