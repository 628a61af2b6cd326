//! [`SharedKeySet`]: the current key set and the fetch requests, shared by requests and the
//! refresher.
//!
//! Decision: ADR 0003.

use std::{sync::Arc, time::Duration};

use domain::{Timestamp, ports::Environment};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, watch};

use super::{
    config::Config,
    key_set::KeySet,
    token_cache::{self, TokenCache},
};

/// A key set with the cache of the tokens that its keys have signed. The cache is dropped with the
/// set.
#[derive(Debug)]
pub(super) struct CachedKeySet {
    pub(super) keys: KeySet,
    pub(super) tokens: TokenCache,
}

/// The current key set. Its locks are held for a few instructions, never over an await.
pub(super) struct SharedKeySet {
    environment: Arc<dyn Environment>,
    cool_down: Duration,
    max_stale: Duration,
    /// The set was given inline: it cannot change and does not become stale.
    fixed: bool,
    /// The set and the time of its last successful fetch; `None` before the first set.
    set: RwLock<Option<(Arc<CachedKeySet>, Timestamp)>>,
    requests: Mutex<FetchRequests>,
    /// Wakes the refresher.
    pub(super) wake: Notify,
    /// The newest ticket that a fetch has served, successfully or not.
    pub(super) served: watch::Sender<u64>,
}

/// The fetches that requests asked for. Each has a ticket; the first fetch of the refresher has
/// ticket 1.
struct FetchRequests {
    newest_ticket: u64,
    /// The time of the newest request; `None` before the first request.
    requested_at: Option<Timestamp>,
}

impl SharedKeySet {
    pub(super) fn new(config: &Config, environment: Arc<dyn Environment>, fixed: bool) -> Self {
        Self {
            environment,
            cool_down: config.cool_down,
            max_stale: config.max_stale,
            fixed,
            set: RwLock::default(),
            requests: Mutex::new(FetchRequests {
                newest_ticket: u64::from(!fixed),
                requested_at: None,
            }),
            wake: Notify::new(),
            served: watch::Sender::new(0),
        }
    }

    /// Returns the current set; `None` if there is no set or the set is older than `max_stale`.
    pub(super) fn current(&self) -> Option<Arc<CachedKeySet>> {
        let set = self.set.read();
        let (keys, at) = set.as_ref()?;
        let fresh = self.fixed || at.until(self.environment.now()) <= self.max_stale;
        fresh.then(|| Arc::clone(keys))
    }

    /// Returns the time since the last successful fetch; `None` before the first, and if the set is fixed.
    pub(super) fn age(&self) -> Option<Duration> {
        let set = self.set.read();
        let (_, at) = set.as_ref().filter(|_| !self.fixed)?;
        Some(at.until(self.environment.now()))
    }

    /// Replaces the set, with an empty token cache.
    pub(super) fn replace(&self, keys: KeySet) {
        let set = Arc::new(CachedKeySet { keys, tokens: token_cache::empty() });
        let set = Some((set, self.environment.now()));
        *self.set.write() = set;
    }

    /// Records that a fetch returned the current set again.
    pub(super) fn confirm(&self) {
        let mut set = self.set.write();
        if let Some((_, at)) = set.as_mut() {
            *at = self.environment.now();
        }
    }

    /// Returns true if any set was ever loaded, even if the set is stale now.
    pub(super) fn was_loaded(&self) -> bool {
        self.set.read().is_some()
    }

    /// Returns the ticket of the newest requested fetch.
    pub(super) fn newest_ticket(&self) -> u64 {
        self.requests.lock().newest_ticket
    }

    /// Requests a fetch, if the cool-down permits one. Returns the ticket of the fetch to wait for;
    /// `None` if no fetch is due or in flight.
    pub(super) fn request_fetch(&self) -> Option<u64> {
        if self.fixed {
            return None;
        }
        let now = self.environment.now();
        let mut requests = self.requests.lock();
        // A clock that was set back must not extend the cool-down by hours.
        let cool =
            requests.requested_at.is_none_or(|at| now < at || at.until(now) >= self.cool_down);
        let pending = requests.newest_ticket > *self.served.borrow();
        if cool && !pending {
            requests.newest_ticket += 1;
            requests.requested_at = Some(now);
            self.wake.notify_one();
        }
        (cool || pending).then_some(requests.newest_ticket)
    }
}
