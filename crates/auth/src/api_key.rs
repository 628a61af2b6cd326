//! Authentication by API key: one lookup, and one answer for all causes of a refusal.
//!
//! The directory is asked for a valid key with the presented id and secret digest. An unknown id, a
//! wrong secret, a revoked key and an expired key are the same index miss, so no cause does work
//! that the other causes skip.
//!
//! Decision: ADR 0013.

pub(crate) mod cache;
pub(crate) mod text;
mod usage;

use std::sync::Arc;

use domain::{
    ApiKey, Caller, Timestamp,
    ports::{Environment, KeyDirectory, PresentedKey, Refused},
};
use subtle::ConstantTimeEq;

use self::usage::UsageRecorder;

/// The logged cause for every key that is not valid. One text for all causes: different texts would
/// take different times to write.
const NOT_VALID: &str = "unknown, wrong, revoked or expired API key";

/// Authenticates callers by API key.
pub(crate) struct ApiKeyAuthenticator {
    directory: Arc<dyn KeyDirectory>,
    environment: Arc<dyn Environment>,
    usage: UsageRecorder,
}

impl ApiKeyAuthenticator {
    pub(crate) fn new(directory: Arc<dyn KeyDirectory>, environment: Arc<dyn Environment>) -> Self {
        Self { usage: UsageRecorder::new(Arc::clone(&directory)), directory, environment }
    }

    /// Returns the caller that the key belongs to.
    pub(crate) async fn authenticate(&self, text: &str) -> Result<Caller, Refused> {
        let presented = text::parse(text).ok_or(Refused::Denied("malformed API key"))?;
        let now = self.environment.now();
        let found = self.find(&presented, now).await?;
        // Checked again here: a directory that returns another key must not authenticate a caller.
        let key = found.filter(|key| matches(key, &presented) && key.is_valid(now));
        let key = key.ok_or(Refused::Denied(NOT_VALID))?;
        self.usage.record(&key, now);
        Ok(key.into_caller())
    }

    async fn find(
        &self,
        presented: &PresentedKey,
        now: Timestamp,
    ) -> Result<Option<ApiKey>, Refused> {
        // A failed lookup is the server's fault and must not read as "wrong key".
        let found = self.directory.find(presented, now).await;
        found.map_err(|error| Refused::Unavailable(error.into()))
    }
}

fn matches(key: &ApiKey, presented: &PresentedKey) -> bool {
    key.id == presented.id && bool::from(key.digest.ct_eq(&presented.digest))
}
