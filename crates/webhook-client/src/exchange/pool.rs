//! Idle connections, each for one webhook and one destination.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use super::connection::Connection;
use crate::{attempt::Attempt, host::Host, limits::Limits};

/// The requests that may share a connection. The webhook's id keeps organizations apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PoolKey {
    webhook: String,
    secure: bool,
    host: Host,
    port: u16,
}

impl PoolKey {
    pub(super) fn of(attempt: &Attempt) -> Self {
        let url = &attempt.url;
        Self {
            webhook: attempt.webhook.clone(),
            secure: url.is_secure(),
            host: url.host().clone(),
            port: url.port(),
        }
    }
}

/// A bounded number of idle connections. Full means that the connection that has been idle longest
/// is closed.
pub(super) struct Pool {
    state: Mutex<PoolState>,
    idle: Duration,
    max: usize,
    max_per_webhook: usize,
}

#[derive(Default)]
struct PoolState {
    /// The connections in the order in which they became idle.
    connections: Vec<IdleConnection>,
    /// Whether a task closes expired connections.
    sweeps: bool,
}

struct IdleConnection {
    key: PoolKey,
    connection: Connection,
    expiry: Instant,
}

impl Pool {
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            idle: limits.idle,
            max: limits.idle_connections,
            max_per_webhook: limits.idle_per_webhook,
        })
    }

    /// Takes the connection that became idle last, because it is the least likely to be closed.
    pub(super) fn take(&self, key: &PoolKey) -> Option<Connection> {
        let mut state = self.lock();
        let now = Instant::now();
        state.connections.retain(|idle| idle.expiry > now && idle.connection.is_ready());
        let at = state.connections.iter().rposition(|idle| idle.key == *key)?;
        Some(state.connections.remove(at).connection)
    }

    /// Keeps the connection for [`Limits::idle`].
    pub(super) fn put(self: &Arc<Self>, key: PoolKey, connection: Connection) {
        let mut state = self.lock();
        let webhook = |idle: &&IdleConnection| idle.key.webhook == key.webhook;
        if state.connections.iter().filter(webhook).count() >= self.max_per_webhook {
            let oldest = state.connections.iter().position(|idle| webhook(&idle));
            oldest.map(|at| state.connections.remove(at));
        }
        if state.connections.len() >= self.max && !state.connections.is_empty() {
            state.connections.remove(0);
        }
        let expiry = Instant::now() + self.idle;
        if self.max.min(self.max_per_webhook) > 0 {
            state.connections.push(IdleConnection { key, connection, expiry });
        }
        if !state.sweeps {
            state.sweeps = true;
            tokio::spawn(sweep(Arc::downgrade(self), expiry));
        }
    }

    /// Closes expired connections; returns the time of the next expiry.
    fn expire(&self) -> Option<Instant> {
        let mut state = self.lock();
        let now = Instant::now();
        state.connections.retain(|idle| idle.expiry > now && idle.connection.is_ready());
        let next = state.connections.first().map(|idle| idle.expiry);
        state.sweeps = next.is_some();
        next
    }

    fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes connections as they expire, until none is left or the pool is dropped.
async fn sweep(pool: Weak<Pool>, first: Instant) {
    let mut next = Some(first);
    while let Some(time) = next {
        sleep_until(time).await;
        next = pool.upgrade().and_then(|pool| pool.expire());
    }
}
