//! API keys at the door: a digest compared in constant time, and one refusal for every cause.

use std::sync::Arc;

use domain::{
    Actor, ApiKey, Caller,
    ports::{Environment, KeyDirectory, Refused},
};
use subtle::ConstantTimeEq;

use crate::{key_text::KeyText, usage::Usage};

/// Compared with when there is no such key, so that an unknown key costs what a wrong secret costs.
const NOBODY: [u8; 32] = [0; 32];

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
        let presented = KeyText::parse(text).ok_or(Refused::Denied("malformed API key"))?;
        let found = self.look_up(&presented).await?;
        let stored = found.as_ref().map_or(&NOBODY, |key| &key.digest);
        let same = bool::from(stored.ct_eq(&presented.digest));
        let key = found.ok_or(Refused::Denied("unknown API key"))?;
        if !same {
            return Err(Refused::Denied("wrong API key secret"));
        }
        let now = self.environment.now();
        if !key.is_good(now) {
            return Err(Refused::Denied("revoked or expired API key"));
        }
        self.usage.note(&key, now);
        Ok(caller(key))
    }

    /// The only place that asks the directory.
    async fn look_up(&self, presented: &KeyText) -> Result<Option<ApiKey>, Refused> {
        // A broken answer is not a stranger's fault: it must not read as "wrong key".
        let found = self.directory.find(&presented.id).await;
        found.map_err(|error| Refused::Unavailable(error.into()))
    }
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
