//! Who is asking: login tokens verified against the issuer's key set, and API keys, behind the
//! domain's [`Authenticator`] port.
//!
//! [`Chain`] tries the two kinds in turn. What begins like one of our API keys is one and nothing
//! else; any other bearer token is taken for a JWT. Every cause of refusal is the same refusal to
//! the caller, and a different word in the log. *Unavailable* is said only when a proper JWT came
//! and there is no key set to verify it with, or when the database of the keys is down.
//!
//! [`HotKeys`] stands before the database's directory: keys in use cost no look-up each time, and
//! nothing is trusted for longer than a second.
//!
//! Time comes from [`Environment`], so that tests and the service agree on what has expired.
//! Nothing here writes a credential, or a part of one, to a log.

mod api_key;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod jwt;

use std::sync::Arc;

use async_trait::async_trait;
use domain::{
    Caller,
    ports::{Authenticator, Credential, Environment, KeyDirectory, Refused},
};

pub use api_key::{cache::HotKeys, text::KeyForge};
pub use jwt::{
    JwtVerifier,
    claims::ClaimPaths,
    config::{Config, ConfigError, Pointer, Source},
    fetch::FetchError,
    key_set::KeySetError,
};

use api_key::ApiKeyDoor;

/// The two kinds of credential, tried in turn.
pub struct Chain {
    jwt: Option<Arc<JwtVerifier>>,
    keys: ApiKeyDoor,
}

impl Chain {
    /// Login tokens if `jwt` is there, API keys by the directory.
    pub fn new(
        jwt: Option<Arc<JwtVerifier>>,
        directory: Arc<dyn KeyDirectory>,
        environment: Arc<dyn Environment>,
    ) -> Self {
        Self { jwt, keys: ApiKeyDoor::new(directory, environment) }
    }
}

#[async_trait]
impl Authenticator for Chain {
    async fn authenticate(&self, credential: &Credential) -> Result<Caller, Refused> {
        match (credential, &self.jwt) {
            (Credential::ApiKey(text), _) => self.keys.admit(text).await,
            (Credential::Bearer(text), _) if api_key::text::is_claimed_by(text) => {
                self.keys.admit(text).await
            }
            (Credential::Bearer(text), Some(jwt)) => jwt.verify(text).await,
            (Credential::Bearer(_), None) => {
                Err(Refused::Denied("a login token, but no key set is configured"))
            }
        }
    }
}
