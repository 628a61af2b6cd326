//! The simulated network: its keys, its state, its faults, its record of stanzas, and the
//! notification of changes.

use crate::certificate::Credentials;
use crate::clock;
use crate::config::Config;
use crate::faults::Faults;
use crate::network_state::NetworkState;
use crate::wire_log::WireLog;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// The data that all connections and phones share.
pub(crate) struct Network {
    pub(crate) config: Config,
    pub(crate) credentials: Credentials,
    pub(crate) faults: Faults,
    pub(crate) wire: Arc<WireLog>,
    /// Counts the changes of the state.
    pub(crate) changes: watch::Sender<u64>,
    /// Counts the changes that belong in the state file.
    pub(crate) saves: watch::Sender<u64>,
    pub(crate) stopping: CancellationToken,
    state: Mutex<NetworkState>,
    ids: AtomicU64,
}

/// The locked state. Dropping the guard writes the lines of the journal.
pub(crate) struct StateGuard<'a>(MutexGuard<'a, NetworkState>);

impl Deref for StateGuard<'_> {
    type Target = NetworkState;

    fn deref(&self) -> &NetworkState {
        &self.0
    }
}

impl DerefMut for StateGuard<'_> {
    fn deref_mut(&mut self) -> &mut NetworkState {
        &mut self.0
    }
}

impl Drop for StateGuard<'_> {
    fn drop(&mut self) {
        self.0.journal.flush();
    }
}

impl Network {
    pub(crate) fn new(config: Config, credentials: Credentials, state: NetworkState) -> Self {
        Self {
            config,
            credentials,
            faults: Faults::default(),
            wire: Arc::new(WireLog::default()),
            changes: watch::Sender::new(0),
            saves: watch::Sender::new(0),
            stopping: CancellationToken::new(),
            state: Mutex::new(state),
            // Ids must differ from those of an earlier run with the same state file.
            ids: AtomicU64::new(clock::millis() << 6),
        }
    }

    /// Locks the state. A panic in another thread does not block the lock.
    pub(crate) fn state(&self) -> StateGuard<'_> {
        StateGuard(self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notifies the waiters of a change of phones or devices, which the state file stores.
    pub(crate) fn changed(&self) {
        self.saves.send_modify(|count| *count += 1);
        self.messages_changed();
    }

    /// Notifies the waiters of a change of messages, which the journal stores.
    pub(crate) fn messages_changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Waits up to `limit` until `is_so` holds. Returns whether it holds.
    pub(crate) async fn wait_for(&self, limit: Duration, is_so: impl Fn() -> bool) -> bool {
        let mut changes = self.changes.subscribe();
        let waited = timeout(limit, async {
            while !is_so() {
                if changes.changed().await.is_err() {
                    break;
                }
            }
        });
        waited.await.is_ok() || is_so()
    }

    pub(crate) fn next_number(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    /// Returns a new id for a stanza of the server.
    pub(crate) fn next_id(&self, kind: &str) -> String {
        format!("{kind}-{}", self.next_number())
    }
}
