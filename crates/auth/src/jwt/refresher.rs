//! The task that fetches the key set: at start, at intervals, and when requests ask for a fetch.
//!
//! Decision: ADR 0003.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    config::Config,
    fetch::{FetchError, Fetcher},
    key_set::KeySet,
    shared_key_set::SharedKeySet,
};

/// The maximum time between two reads of a file. A read is cheap.
const FILE_INTERVAL: Duration = Duration::from_secs(5);
/// The first retry delay before the first key set is loaded; doubles up to the cool-down.
const FIRST_RETRY_DELAY: Duration = Duration::from_secs(1);

/// Fetches key sets and publishes them in a [`SharedKeySet`].
pub(super) struct Refresher {
    shared: Arc<SharedKeySet>,
    fetcher: Fetcher,
    origin: String,
    interval: Duration,
    cool_down: Duration,
    /// The fetched text of the current set.
    last_text: Option<Bytes>,
    /// Consecutive failures.
    failures: u32,
}

impl Refresher {
    pub(super) fn new(
        shared: Arc<SharedKeySet>,
        fetcher: Fetcher,
        origin: String,
        config: &Config,
    ) -> Self {
        let (interval, cool_down) = (config.refresh_interval, config.cool_down);
        Self { shared, fetcher, origin, interval, cool_down, last_text: None, failures: 0 }
    }

    /// Returns the current text of the set without publishing it.
    pub(super) async fn fetch(&self) -> Result<Bytes, FetchError> {
        self.fetcher.fetch().await
    }

    /// Records that the caller has published the set in `text`, read from a file.
    pub(super) fn start_with(&mut self, text: Bytes) {
        self.interval = self.interval.min(FILE_INTERVAL);
        self.last_text = Some(text);
    }

    /// Refreshes until the future is dropped.
    pub(super) async fn run(mut self) {
        if self.last_text.is_some() {
            self.shared.served.send_replace(self.shared.newest_ticket());
            self.wait_until_due().await;
        }
        loop {
            // Read before the fetch: a request during the fetch may need a newer set.
            let ticket = self.shared.newest_ticket();
            match self.refresh().await {
                Ok(()) => self.failures = 0,
                Err(error) => {
                    self.failures = self.failures.saturating_add(1);
                    let error: &(dyn std::error::Error + 'static) = &error;
                    tracing::warn!(
                        origin = self.origin,
                        failures = self.failures,
                        serving = self.shared.current().is_some(),
                        error,
                        "the key set was not refreshed"
                    );
                }
            }
            self.shared.served.send_replace(ticket);
            self.wait_until_due().await;
        }
    }

    /// Fetches once. A set without a usable key is rejected while no set is loaded. Later such a
    /// set is published, because the issuer has withdrawn its keys.
    async fn refresh(&mut self) -> Result<(), FetchError> {
        let text = self.fetch().await?;
        if self.last_text.as_ref() == Some(&text) {
            self.shared.confirm();
            return Ok(());
        }
        let mut keys = KeySet::parse(&text).map_err(FetchError::Content)?;
        if !self.shared.was_loaded() {
            keys = keys.require_usable().map_err(FetchError::Content)?;
        }
        let (count, ignored) = (keys.len(), keys.ignored().join(", "));
        tracing::info!(origin = self.origin, keys = count, ignored, "a new key set is in use");
        self.shared.replace(keys);
        self.last_text = Some(text);
        Ok(())
    }

    /// Waits until the next fetch is due, or until a request asks for a fetch.
    async fn wait_until_due(&self) {
        let due = Instant::now() + self.delay();
        loop {
            let woken = tokio::time::timeout_at(due, self.shared.wake.notified()).await;
            if woken.is_err() || self.shared.newest_ticket() > *self.shared.served.borrow() {
                return;
            }
        }
    }

    fn delay(&self) -> Duration {
        let retry = self.cool_down.min(self.interval);
        match self.failures {
            0 => self.interval,
            _ if self.shared.was_loaded() => retry,
            failures => FIRST_RETRY_DELAY.saturating_mul(1 << (failures - 1).min(16)).min(retry),
        }
    }
}
