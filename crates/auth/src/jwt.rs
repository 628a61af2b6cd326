//! Verifies login tokens: signed by a key of the issuer's set, for this service, and valid now.
//!
//! An ECDSA signature (r, s) has a twin, (r, n − s), that any third party can compute and that is
//! valid as well. JWS has no rule against the twin, and half of all honest tokens have the higher
//! s, so both are accepted. The token cache is keyed by the text of a token, so the twin is
//! verified and read separately. A deny list by token text would be ineffective for the same
//! reason.

mod claims;
mod config;
mod fetch;
pub(crate) mod json;
mod jwks;
pub(crate) mod key_set;
mod pointer;
mod refresher;
mod shared_key_set;
mod source;
pub(crate) mod token;
mod token_cache;
mod validity;

use std::{sync::Arc, time::Duration};

use domain::{
    Caller, SignIn,
    ports::{Environment, Refused},
};
use serde_json::Value;

pub use self::{
    claims::ClaimPaths,
    config::{Config, ConfigError},
    fetch::FetchError,
    key_set::KeySetError,
    pointer::{Pointer, PointerError},
    source::{Source, SourceError},
};

use self::{
    jwks::Jwks,
    token::Token,
    token_cache::{TokenDigest, VerifiedToken},
    validity::Validity,
};

/// Verifies login tokens against the issuer's key set.
pub struct JwtVerifier {
    keys: Jwks,
    issuer: Option<String>,
    audience: Option<String>,
    claims: ClaimPaths,
    leeway: Duration,
    environment: Arc<dyn Environment>,
}

impl JwtVerifier {
    /// Loads the key set and starts its refresh. Returns `None` when no key set is configured.
    ///
    /// # Errors
    /// If the configuration cannot be used; the message tells the operator how to correct it.
    pub async fn start(
        config: Config,
        environment: Arc<dyn Environment>,
    ) -> Result<Option<Arc<Self>>, ConfigError> {
        for (name, value) in [("issuer", &config.issuer), ("audience", &config.audience)] {
            if value.as_ref().is_some_and(String::is_empty) {
                return Err(ConfigError::Empty(name));
            }
        }
        let Some(source) = config.jwks.clone() else { return Ok(None) };
        if config.issuer.is_none() || config.audience.is_none() {
            tracing::warn!(
                issuer = config.issuer.is_some(),
                audience = config.audience.is_some(),
                "login tokens of any issuer or audience are accepted"
            );
        }
        let keys = Jwks::start(source, &config, Arc::clone(&environment)).await?;
        let Config { issuer, audience, claims, leeway, .. } = config;
        Ok(Some(Arc::new(Self { keys, issuer, audience, claims, leeway, environment })))
    }

    /// Returns true if there is a current key set.
    pub fn is_ready(&self) -> bool {
        self.keys.is_loaded()
    }

    /// Returns the time since the last successful fetch of the key set; `None` before the first fetch, and
    /// for a key set that is given inline.
    pub fn key_set_age(&self) -> Option<Duration> {
        self.keys.age()
    }

    /// Returns the caller of a token.
    pub(crate) async fn verify(&self, text: &str) -> Result<Caller, Refused> {
        let token = self.verified(text).await?;
        token.caller(self.environment.now(), self.leeway).map_err(Refused::Denied)
    }

    /// Returns the login of a browser session by a token.
    pub(crate) async fn sign_in(&self, text: &str) -> Result<SignIn, Refused> {
        let token = self.verified(text).await?;
        token.sign_in(self.environment.now(), self.leeway).map_err(Refused::Denied)
    }

    /// Returns the login that an ID token states. The token has the nonce of the login, and names no
    /// other client as authorized party. Never cached: an ID token is used once.
    pub(crate) async fn sign_in_of_id_token(
        &self,
        text: &str,
        nonce: &str,
        client: &str,
    ) -> Result<SignIn, Refused> {
        let token = Token::parse(text).map_err(Refused::Denied)?;
        self.keys.verify(&token).await?;
        let claims = json::object(&token.payload).ok_or("the claims are not a JSON object");
        let claims = claims.map_err(Refused::Denied)?;
        claims::check_login(&claims, nonce, client).map_err(Refused::Denied)?;
        let verified = self.read_claims(&claims);
        verified.sign_in(self.environment.now(), self.leeway).map_err(Refused::Denied)
    }

    /// Returns a token whose signature is valid, from the cache or verified now.
    async fn verified(&self, text: &str) -> Result<Arc<VerifiedToken>, Refused> {
        let text = Token::check_length(text).map_err(Refused::Denied)?;
        let digest = token_cache::digest(text);
        let cached = self.keys.current().and_then(|set| set.tokens.get(&digest));
        match cached {
            Some(token) => Ok(token),
            None => self.verify_uncached(text, digest).await,
        }
    }

    /// Verifies and reads a token, and caches the result with the key set that verified the token.
    async fn verify_uncached(
        &self,
        text: &str,
        digest: TokenDigest,
    ) -> Result<Arc<VerifiedToken>, Refused> {
        let token = Token::parse(text).map_err(Refused::Denied)?;
        let set = self.keys.verify(&token).await?;
        let claims = json::object(&token.payload).ok_or("the claims are not a JSON object");
        let claims = claims.map_err(Refused::Denied)?;
        let verified = Arc::new(self.read_claims(&claims));
        set.tokens.insert(digest, verified.clone());
        Ok(verified)
    }

    /// Reads the claims of a token whose signature is verified.
    fn read_claims(&self, claims: &Value) -> VerifiedToken {
        let (issuer, audience) = (self.issuer.as_deref(), self.audience.as_deref());
        let origin = claims::check_origin(claims, issuer, audience);
        let validity = Validity::read(claims);
        let expires_at = validity.ok().map(Validity::expires_at);
        let login = origin.and_then(|()| self.claims.login(claims));
        let caller = login
            .as_ref()
            .map(|login| login.caller(login.only_organization(), expires_at))
            .map_err(|cause| *cause);
        VerifiedToken { validity, login, caller }
    }
}
