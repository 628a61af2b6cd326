//! API keys at the door: one look-up, one refusal, and one miss for every cause of it.
//!
//! The directory is asked for a good key of just this name and digest. An unknown name, a wrong
//! secret, a revoked and an expired key are all found by no index, so that nothing is done for the
//! one that is not done for the others.

mod base62;
pub(crate) mod cache;
pub(crate) mod text;
mod usage;

use std::sync::Arc;

use domain::{
    Actor, ApiKey, Caller, Timestamp,
    ports::{Environment, KeyDirectory, PresentedKey, Refused},
};
use subtle::ConstantTimeEq;

use self::usage::Usage;

/// Said of every key that is not good, in the log too: another line would take another time.
const NOT_GOOD: &str = "unknown, wrong, revoked or expired API key";

/// Says whose an API key is.
pub(crate) struct ApiKeyDoor {
    directory: Arc<dyn KeyDirectory>,
    environment: Arc<dyn Environment>,
    usage: Usage,
}

impl ApiKeyDoor {
    pub(crate) fn new(directory: Arc<dyn KeyDirectory>, environment: Arc<dyn Environment>) -> Self {
        Self { usage: Usage::new(Arc::clone(&directory)), directory, environment }
    }

    /// The caller behind the text of a key.
    pub(crate) async fn admit(&self, text: &str) -> Result<Caller, Refused> {
        let shown = text::parse(text).ok_or(Refused::Denied("malformed API key"))?;
        let now = self.environment.now();
        let found = self.look_up(&shown, now).await?;
        // The directory's word is not the only one: whatever it finds must be what was asked for.
        let key = found.filter(|key| is_shown(key, &shown) && key.is_valid(now));
        let key = key.ok_or(Refused::Denied(NOT_GOOD))?;
        self.usage.note(&key, now);
        Ok(caller(key))
    }

    /// The only place that asks the directory.
    async fn look_up(
        &self,
        shown: &PresentedKey,
        now: Timestamp,
    ) -> Result<Option<ApiKey>, Refused> {
        // A broken answer is not a stranger's fault: it must not read as "wrong key".
        let found = self.directory.find(shown, now).await;
        found.map_err(|error| Refused::Unavailable(error.into()))
    }
}

/// Whether this is the key that is shown.
fn is_shown(key: &ApiKey, shown: &PresentedKey) -> bool {
    key.id == shown.id && bool::from(key.digest.ct_eq(&shown.digest))
}

fn caller(key: ApiKey) -> Caller {
    Caller {
        reach: key.reach(),
        actor: Actor::Key(key.id),
        organization: Some(key.organization),
        capabilities: key.capabilities,
        // Whatever a key carries, it never opens the operator's endpoints.
        platform_admin: false,
    }
}
