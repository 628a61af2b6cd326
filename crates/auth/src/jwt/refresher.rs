//! The one task that fetches the key set: at start, at intervals, and when a request asks for it.
//!
//! Decision: ADR 0003.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    config::Config,
    fetch::{FetchError, Fetcher},
    jwks::Shelf,
    key_set::KeySet,
};

/// How often a file is looked at, at least: reading it costs next to nothing.
const LOOK_AT_FILE: Duration = Duration::from_secs(5);
/// The first pause when there is no key set yet; it doubles up to the cool-down.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// Puts fresh key sets on the shelf.
pub(crate) struct Refresher {
    shelf: Arc<Shelf>,
    fetcher: Fetcher,
    origin: String,
    every: Duration,
    cool_down: Duration,
    /// What is on the shelf, as it came.
    last: Option<Bytes>,
    failures: u32,
}

impl Refresher {
    pub(crate) fn new(
        shelf: Arc<Shelf>,
        fetcher: Fetcher,
        origin: String,
        config: &Config,
    ) -> Self {
        let (every, cool_down) = (config.refresh, config.cool_down);
        Self { shelf, fetcher, origin, every, cool_down, last: None, failures: 0 }
    }

    /// The text of the set as it is now.
    pub(crate) async fn fetch(&self) -> Result<Bytes, FetchError> {
        self.fetcher.fetch().await
    }

    /// This text, from a file, is on the shelf already.
    pub(crate) fn begin_with(&mut self, text: Bytes) {
        self.every = self.every.min(LOOK_AT_FILE);
        self.last = Some(text);
    }

    /// Refreshes until dropped.
    pub(crate) async fn run(mut self) {
        if self.last.is_some() {
            self.shelf.served.send_replace(self.shelf.ticket());
            self.rest().await;
        }
        loop {
            // Read before the fetch: whoever asks while it runs may know of a newer key.
            let ticket = self.shelf.ticket();
            match self.refresh().await {
                Ok(()) => self.failures = 0,
                Err(error) => {
                    self.failures = self.failures.saturating_add(1);
                    let error: &(dyn std::error::Error + 'static) = &error;
                    tracing::warn!(
                        origin = self.origin,
                        failures = self.failures,
                        serving = self.shelf.keys().is_some(),
                        error,
                        "the key set was not refreshed"
                    );
                }
            }
            self.shelf.served.send_replace(ticket);
            self.rest().await;
        }
    }

    /// Fetches once. An unusable set is kept off the shelf while there is none; later, an empty
    /// one means that the issuer withdrew its keys, and is believed.
    async fn refresh(&mut self) -> Result<(), FetchError> {
        let text = self.fetch().await?;
        if self.last.as_ref() == Some(&text) {
            self.shelf.confirm();
            return Ok(());
        }
        let mut keys = KeySet::parse(&text).map_err(FetchError::Content)?;
        if !self.shelf.had_keys() {
            keys = keys.if_usable().map_err(FetchError::Content)?;
        }
        let (count, ignored) = (keys.len(), keys.ignored().join(", "));
        tracing::info!(origin = self.origin, keys = count, ignored, "a key set was taken into use");
        self.shelf.put(keys);
        self.last = Some(text);
        Ok(())
    }

    /// Until it is time again, or somebody asks for a fetch that has not been served.
    async fn rest(&self) {
        let until = Instant::now() + self.pause();
        loop {
            let woken = tokio::time::timeout_at(until, self.shelf.wake.notified()).await;
            if woken.is_err() || self.shelf.ticket() > *self.shelf.served.borrow() {
                return;
            }
        }
    }

    fn pause(&self) -> Duration {
        let soon = self.cool_down.min(self.every);
        match self.failures {
            0 => self.every,
            _ if self.shelf.had_keys() => soon,
            failures => FIRST_RETRY.saturating_mul(1 << (failures - 1).min(16)).min(soon),
        }
    }
}
