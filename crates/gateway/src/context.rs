//! What all sessions of a node share.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::{Semaphore, watch};
use wacore::net::HttpClient;

use crate::{
    fair_permits::FairPermits, keys::KeyStore, outbox::Outbox,
    whatsapp_transport::TransportProvider,
};

/// Shared by every session of a node.
pub(crate) struct NodeContext {
    /// Where keys are.
    pub(crate) key_store: KeyStore,
    /// Where snapshots go.
    pub(crate) outbox: Outbox,
    /// How WhatsApp is reached.
    pub(crate) transports: Arc<dyn TransportProvider>,
    /// What the engine fetches with.
    pub(crate) http: Arc<dyn HttpClient>,
    /// WhatsApp Web's version, when it is not to be asked for.
    pub(crate) version: Option<(u32, u32, u32)>,
    /// Turns at connecting.
    pub(crate) connect_permits: FairPermits,
    /// How many compute at once.
    pub(crate) compute_permits: Arc<Semaphore>,
    /// Turns at linking.
    pub(crate) link_permits: FairPermits,
    /// The number the router gave this node; 0 before.
    pub(crate) generation: watch::Sender<u64>,
    /// The last number given to a snapshot of any session.
    pub(crate) seq: AtomicU64,
}

impl NodeContext {
    /// Numbers grow over all sessions, so that a session that was forgotten and came back never
    /// reuses one.
    pub(crate) fn next_seq(&self) -> u64 {
        self.seq.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// 0 before the router knows this node.
    pub(crate) fn generation(&self) -> u64 {
        *self.generation.borrow()
    }
}
