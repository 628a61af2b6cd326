//! Delivers the events of all organizations to their webhooks.
//!
//! One task, the [dispatcher](dispatcher), knows all live webhooks, and claims the leases of those
//! that have new events or are due. A [task](delivery_task) of each leased webhook reads events from
//! the feed, sends them, and stores the progress. All decisions are those of
//! [`Deliveries`](domain::Deliveries); this crate provides time, tasks and requests. Nothing is
//! stored for a delivery that succeeds at once except its share of a [batch](flusher).
//!
//! Decision: ADR 0044.

mod candidates;
mod delivery_task;
mod directory;
mod dispatcher;
mod event_source;
mod flusher;
mod held_lease;
mod permits;
mod task_state;

use std::sync::{Arc, atomic::AtomicUsize};

use domain::ports::{DeliveryStore, Environment, Notifier, SecretSealer, WebhookSender};
use event_feed::{EventFeed, Renderer};

pub use self::dispatcher::Dispatcher;
use self::{flusher::FlushQueue, permits::Permits};

/// The ports that the dispatcher uses.
#[derive(Clone)]
pub struct DispatcherPorts {
    /// Claims leases and stores the progress.
    pub store: Arc<dyn DeliveryStore>,
    /// New events.
    pub feed: EventFeed,
    /// Renders events that are looked up in the store.
    pub render: Renderer,
    /// Opens signing secrets and headers.
    pub sealer: Arc<dyn SecretSealer>,
    /// Sends requests.
    pub sender: Arc<dyn WebhookSender>,
    /// Wakes the dispatcher when this router changes a webhook.
    pub notifier: Arc<dyn Notifier>,
    /// The clock and the source of new ids.
    pub environment: Arc<dyn Environment>,
}

/// What the tasks of all webhooks share.
struct Shared {
    ports: DispatcherPorts,
    permits: Permits,
    flushes: FlushQueue,
    /// Number of bytes of events in memory that wait for their first attempt.
    bytes: AtomicUsize,
}
