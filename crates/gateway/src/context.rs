//! The resources that all sessions of a node share.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::{Semaphore, watch};
use wacore::net::HttpClient;

use crate::{
    fair_permits::FairPermits, journal::Journal, keys::KeyStore, outbox::Outbox,
    reachability::Reachability, whatsapp_transport::TransportProvider,
};

/// The resources that all sessions of a node share.
pub(crate) struct NodeContext {
    /// The device keys of all sessions.
    pub(crate) key_store: KeyStore,
    /// What WhatsApp told and the router has not stored yet.
    pub(crate) journal: Arc<Journal>,
    /// The snapshots that wait for the router.
    pub(crate) outbox: Outbox,
    /// Creates the connections to WhatsApp.
    pub(crate) transports: Arc<dyn TransportProvider>,
    /// Whether WhatsApp can be reached.
    pub(crate) reachability: Arc<Reachability>,
    /// The HTTP client of the engine.
    pub(crate) http: Arc<dyn HttpClient>,
    /// The version of WhatsApp Web to claim. `None`: the engine fetches the current version.
    pub(crate) version: Option<(u32, u32, u32)>,
    /// Limits the sessions that connect at the same time.
    pub(crate) connect_permits: FairPermits,
    /// Limits the concurrent computations of all engines.
    pub(crate) compute_permits: Arc<Semaphore>,
    /// Limits the sessions that link a device at the same time.
    pub(crate) link_permits: FairPermits,
    /// The generation that the router assigned to this node; 0 without a lease.
    pub(crate) generation: watch::Sender<u64>,
    /// The sequence number of the newest snapshot of all sessions.
    pub(crate) seq: AtomicU64,
}

impl NodeContext {
    /// Returns the next sequence number. All sessions share one sequence, so that a session that is
    /// forgotten and declared again never reuses a number.
    pub(crate) fn next_seq(&self) -> u64 {
        self.seq.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Returns the generation of this node; 0 without a lease.
    pub(crate) fn generation(&self) -> u64 {
        *self.generation.borrow()
    }
}
