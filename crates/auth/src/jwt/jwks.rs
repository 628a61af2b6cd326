//! [`Jwks`]: the issuer's key set in memory. Requests read the set and never fetch it.
//!
//! One task fetches, so at most one fetch is in flight. A request whose token was signed by a key
//! of the set does not wait. A request whose token was not may request a fetch, once per cool-down
//! for all requests together, and waits a bounded time for the result: the issuer may have a new
//! key, even under the id of an old one. When fetches fail, the last good set stays in use until
//! the set is too old.
//!
//! Decision: ADR 0003.

use std::{sync::Arc, time::Duration};

use domain::ports::{Environment, Refused};
use tokio_util::task::AbortOnDropHandle;

use super::{
    config::{Config, ConfigError},
    fetch::Fetcher,
    key_set::KeySet,
    refresher::Refresher,
    shared_key_set::{CachedKeySet, SharedKeySet},
    source::Source,
    token::Token,
};

/// The keys that verify login tokens. Dropping the value ends the task that refreshes them.
pub(super) struct Jwks {
    shared: Arc<SharedKeySet>,
    max_wait: Duration,
    _refresher: Option<AbortOnDropHandle<()>>,
}

#[derive(Debug, thiserror::Error)]
#[error("there is no key set to verify login tokens with")]
struct NoKeySet;

impl Jwks {
    /// Loads the keys of `source` and starts their refresh. Inline keys and a file must be usable
    /// now. A URL need not respond yet, because an issuer may start after berth.
    ///
    /// # Errors
    /// If inline keys or the file cannot be used, or TLS cannot be set up.
    pub(super) async fn start(
        source: Source,
        config: &Config,
        environment: Arc<dyn Environment>,
    ) -> Result<Self, ConfigError> {
        let origin = format!("{source:?}");
        let file = match &source {
            Source::File(path) => Some(path.clone()),
            Source::Url(_) | Source::Inline(_) => None,
        };
        let max_wait = config.max_wait;
        let fetcher = match source {
            Source::Inline(json) => {
                let keys = parse_usable(json.as_bytes(), &origin)?;
                let shared = Arc::new(SharedKeySet::new(config, environment, true));
                shared.replace(keys);
                return Ok(Self { shared, max_wait, _refresher: None });
            }
            Source::File(path) => Fetcher::of_file(path, config.fetch_timeout),
            Source::Url(uri) => {
                Fetcher::of_url(uri, config.fetch_timeout).map_err(ConfigError::Tls)?
            }
        };
        let shared = Arc::new(SharedKeySet::new(config, environment, false));
        let mut refresher = Refresher::new(Arc::clone(&shared), fetcher, origin.clone(), config);
        if let Some(path) = file {
            let read = refresher.fetch().await;
            let text = read.map_err(|source| ConfigError::File { path, source })?;
            shared.replace(parse_usable(&text, &origin)?);
            refresher.start_with(text);
        }
        let task = AbortOnDropHandle::new(tokio::spawn(refresher.run()));
        Ok(Self { shared, max_wait, _refresher: Some(task) })
    }

    /// Returns the time since the last successful fetch; `None` before the first, and for inline keys.
    pub(super) fn age(&self) -> Option<Duration> {
        self.shared.age()
    }

    /// Returns true if there is a current key set.
    pub(super) fn is_loaded(&self) -> bool {
        self.current().is_some()
    }

    /// Returns the set that has the key that signed the token.
    ///
    /// # Errors
    /// *Denied* if no key of the newest set did, *unavailable* if there is no set.
    pub(super) async fn verify(&self, token: &Token<'_>) -> Result<Arc<CachedKeySet>, Refused> {
        let set = self.current();
        let verified = verify_with(set.clone(), token);
        if verified.is_ok() {
            return verified;
        }
        if let Some(ticket) = self.shared.request_fetch() {
            let mut served = self.shared.served.subscribe();
            let fetched = served.wait_for(|served| *served >= ticket);
            // After a timeout the current set is read as well.
            let _ = tokio::time::timeout(self.max_wait, fetched).await;
        }
        // Another request may have loaded a new set meanwhile. The same set is not tried again.
        let newer = self.current();
        if set.as_ref().map(Arc::as_ptr) == newer.as_ref().map(Arc::as_ptr) {
            return verified;
        }
        verify_with(newer, token)
    }

    /// Returns the current set; `None` if there is no set or the set is too old.
    pub(super) fn current(&self) -> Option<Arc<CachedKeySet>> {
        self.shared.current()
    }
}

fn verify_with(
    set: Option<Arc<CachedKeySet>>,
    token: &Token<'_>,
) -> Result<Arc<CachedKeySet>, Refused> {
    let set = set.ok_or_else(|| Refused::Unavailable(NoKeySet.into()))?;
    set.keys.verify(token).map_err(Refused::Denied)?;
    Ok(set)
}

fn parse_usable(json: &[u8], origin: &str) -> Result<KeySet, ConfigError> {
    let keys = KeySet::parse(json).and_then(KeySet::require_usable);
    keys.map_err(|source| ConfigError::KeySet { origin: origin.to_owned(), source })
}
