//! Authentication of callers by login token or API key, behind the domain's [`Authenticator`] port.
//!
//! [`Chain`] selects the credential's kind. A bearer token with the prefix of an API key is an API
//! key; every other bearer token is a JWT. All causes of a refusal give the caller the same answer;
//! the log has the cause. *Unavailable* is returned only for a well-formed JWT without a key set to
//! verify it, and when the key directory is down.
//!
//! [`KeyCache`] stands in front of the database's key directory: keys in use cost no lookup for
//! each request, and entries are served for less than one second.
//!
//! Time comes from [`Environment`], so that tests control what has expired. No log line contains a
//! credential or a part of one.

mod api_key;
mod base62;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod jwt;
mod link_secret;
mod oidc;
mod secret_text;

use std::sync::Arc;

use async_trait::async_trait;
use domain::{
    Caller, SignIn,
    ports::{Authenticator, Credential, Environment, KeyDirectory, Refused},
};

pub use api_key::{cache::KeyCache, text::RandomKeyGenerator};
pub use jwt::{
    ClaimPaths, Config, ConfigError, FetchError, JwtVerifier, KeySetError, Pointer, PointerError,
    Source, SourceError,
};
pub use link_secret::RandomLinkSecrets;
pub use oidc::{OidcClient, OidcCode, OidcConfig, OidcConfigError, OidcRequest};

use api_key::ApiKeyAuthenticator;

/// An authenticator of login tokens and API keys.
pub struct Chain {
    jwt: Option<Arc<JwtVerifier>>,
    keys: ApiKeyAuthenticator,
}

impl Chain {
    /// Creates an authenticator that finds API keys in `directory`. With `jwt: None` login tokens
    /// are denied.
    pub fn new(
        jwt: Option<Arc<JwtVerifier>>,
        directory: Arc<dyn KeyDirectory>,
        environment: Arc<dyn Environment>,
    ) -> Self {
        Self { jwt, keys: ApiKeyAuthenticator::new(directory, environment) }
    }
}

#[async_trait]
impl Authenticator for Chain {
    async fn authenticate(&self, credential: &Credential) -> Result<Caller, Refused> {
        match (credential, &self.jwt) {
            (Credential::ApiKey(text), _) => self.keys.authenticate(text).await,
            (Credential::Bearer(text), _) if api_key::text::has_prefix(text) => {
                self.keys.authenticate(text).await
            }
            (Credential::Bearer(text), Some(jwt)) => jwt.verify(text).await,
            (Credential::Bearer(_), None) => {
                Err(Refused::Denied("a login token, but no key set is configured"))
            }
        }
    }

    async fn sign_in(&self, credential: &Credential) -> Result<SignIn, Refused> {
        match (credential, &self.jwt) {
            (Credential::Bearer(text), Some(jwt)) if !api_key::text::has_prefix(text) => {
                jwt.sign_in(text).await
            }
            _ => self.authenticate(credential).await.map(SignIn::of_caller),
        }
    }
}
