//! The issuer's key set, kept at hand: requests look into it and never fetch it themselves.
//!
//! One task fetches, so there is never more than one fetch under way. A request whose token a key of the
//! set signed waits for nothing. One whose token no key of the set signed may ask the task for a fetch,
//! once per cool-down for all of them together, and waits for it a bounded while: the issuer may have
//! a new key, and may have given it the name of an old one. When fetching fails the last good set
//! serves on, until it is too old to trust.
//!
//! Decision: ADR 0003.

use std::{
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use domain::{
    Timestamp,
    ports::{Environment, Refused},
};
use tokio::sync::{Notify, watch};
use tokio_util::task::AbortOnDropHandle;

use super::{
    config::{Config, ConfigError, Source},
    fetch::Fetcher,
    key_set::KeySet,
    refresher::Refresher,
    token::Token,
};

/// The keys login tokens are verified with. The task that refreshes them ends when this is dropped.
pub(crate) struct Jwks {
    shelf: Arc<Shelf>,
    patience: Duration,
    _refresher: Option<AbortOnDropHandle<()>>,
}

/// There is no key set to verify with.
#[derive(Debug, thiserror::Error)]
#[error("there is no key set to verify login tokens with")]
struct NoKeySet;

impl Jwks {
    /// Begins to keep the keys of `source`. Inline keys and a file must be good now; a URL need
    /// not answer yet, for an issuer that starts after us is no reason to stay down.
    ///
    /// # Errors
    /// Says what to mend.
    pub(crate) async fn start(
        source: Source,
        config: &Config,
        environment: Arc<dyn Environment>,
    ) -> Result<Self, ConfigError> {
        let origin = format!("{source:?}");
        let file = match &source {
            Source::File(path) => Some(path.clone()),
            Source::Url(_) | Source::Inline(_) => None,
        };
        let fetcher = match source {
            Source::Inline(json) => {
                let keys = usable(json.as_bytes(), &origin)?;
                let shelf = Arc::new(Shelf::new(config, environment, true));
                shelf.put(keys);
                return Ok(Self { shelf, patience: config.patience, _refresher: None });
            }
            Source::File(path) => Fetcher::of_file(path, config.fetch_timeout),
            Source::Url(uri) => Fetcher::of_url(uri, config.fetch_timeout)?,
        };
        let shelf = Arc::new(Shelf::new(config, environment, false));
        let mut refresher = Refresher::new(Arc::clone(&shelf), fetcher, origin.clone(), config);
        if let Some(path) = file {
            let read = refresher.fetch().await;
            let text = read.map_err(|source| ConfigError::File { path, source })?;
            shelf.put(usable(&text, &origin)?);
            refresher.begin_with(text);
        }
        let task = AbortOnDropHandle::new(tokio::spawn(refresher.run()));
        Ok(Self { shelf, patience: config.patience, _refresher: Some(task) })
    }

    /// Whether there is a key set to verify with.
    pub(crate) fn is_loaded(&self) -> bool {
        self.set().is_some()
    }

    /// Returns the set that has the key that signed the token.
    ///
    /// # Errors
    /// *Denied* when no key of the newest set did, *unavailable* when there is no set.
    pub(crate) async fn verify(&self, token: &Token<'_>) -> Result<Arc<KeySet>, Refused> {
        let set = self.set();
        let verified = verified_by(set.clone(), token);
        if verified.is_ok() {
            return verified;
        }
        if let Some(ticket) = self.shelf.ask() {
            let mut served = self.shelf.served.subscribe();
            let fetched = served.wait_for(|served| *served >= ticket);
            // Whether it came in time or not is seen by looking again.
            let _ = tokio::time::timeout(self.patience, fetched).await;
        }
        // Another may have come while this one was tried. The same keys would be tried in vain once more.
        let newer = self.set();
        if set.as_ref().map(Arc::as_ptr) == newer.as_ref().map(Arc::as_ptr) {
            return verified;
        }
        verified_by(newer, token)
    }

    /// The set to go by, unless it is too old, or there is none.
    pub(crate) fn set(&self) -> Option<Arc<KeySet>> {
        self.shelf.keys()
    }
}

/// The set, if it has the key that signed the token.
fn verified_by(set: Option<Arc<KeySet>>, token: &Token<'_>) -> Result<Arc<KeySet>, Refused> {
    let set = set.ok_or_else(|| Refused::Unavailable(NoKeySet.into()))?;
    set.verify(token).map_err(Refused::Denied)?;
    Ok(set)
}

/// A set that serves, or what an operator should mend.
fn usable(json: &[u8], origin: &str) -> Result<KeySet, ConfigError> {
    let keys = KeySet::parse(json).and_then(KeySet::if_usable);
    keys.map_err(|source| ConfigError::KeySet { origin: origin.to_owned(), source })
}

/// What requests and the refresher share. Its locks are held for a few instructions, never over
/// an await.
pub(crate) struct Shelf {
    environment: Arc<dyn Environment>,
    cool_down: Duration,
    max_stale: Duration,
    /// Given inline: it cannot change, so it cannot be stale.
    fixed: bool,
    set: RwLock<Option<(Arc<KeySet>, Timestamp)>>,
    asked: Mutex<Asked>,
    /// Wakes the refresher.
    pub(crate) wake: Notify,
    /// The newest ticket that a fetch has answered, well or badly.
    pub(crate) served: watch::Sender<u64>,
}

/// Who asked for a fetch: tickets count up from the refresher's own first one.
struct Asked {
    ticket: u64,
    at: Option<Timestamp>,
}

impl Shelf {
    fn new(config: &Config, environment: Arc<dyn Environment>, fixed: bool) -> Self {
        Self {
            environment,
            cool_down: config.cool_down,
            max_stale: config.max_stale,
            fixed,
            set: RwLock::default(),
            asked: Mutex::new(Asked { ticket: u64::from(!fixed), at: None }),
            wake: Notify::new(),
            served: watch::Sender::new(0),
        }
    }

    /// The set in use, unless there is none or it is too old to trust.
    pub(crate) fn keys(&self) -> Option<Arc<KeySet>> {
        let set = self.set.read().unwrap_or_else(PoisonError::into_inner);
        let (keys, at) = set.as_ref()?;
        let fresh = self.fixed || at.until(self.environment.now()) <= self.max_stale;
        fresh.then(|| Arc::clone(keys))
    }

    /// Takes a set into use from now on.
    pub(crate) fn put(&self, keys: KeySet) {
        let set = Some((Arc::new(keys), self.environment.now()));
        *self.set.write().unwrap_or_else(PoisonError::into_inner) = set;
    }

    /// The set in use was found unchanged.
    pub(crate) fn confirm(&self) {
        let mut set = self.set.write().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, at)) = set.as_mut() {
            *at = self.environment.now();
        }
    }

    /// Whether there ever was a set, too old or not.
    pub(crate) fn had_keys(&self) -> bool {
        self.set.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// The newest fetch anybody asked for.
    pub(crate) fn ticket(&self) -> u64 {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).ticket
    }

    /// Asks for a fetch, if the cool-down allows one; the ticket of the fetch that is worth
    /// waiting for, if there is one.
    fn ask(&self) -> Option<u64> {
        if self.fixed {
            return None;
        }
        let now = self.environment.now();
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back must not make the cool-down last for hours.
        let cool = asked.at.is_none_or(|at| now < at || at.until(now) >= self.cool_down);
        let pending = asked.ticket > *self.served.borrow();
        if cool && !pending {
            asked.ticket += 1;
            asked.at = Some(now);
            self.wake.notify_one();
        }
        (cool || pending).then_some(asked.ticket)
    }
}
