//! Login tokens: signed by a key of the issuer's set, meant for us, and in force now.
//!
//! An ECDSA signature (r, s) has a twin, (r, n − s), that anybody can write and that is as good. JWS knows no
//! rule against it, and half of all honest tokens have the higher s, so none is refused for it. That is
//! harmless as long as nothing about a token but its signature is remembered by its text: whether a key made
//! a signature is, and nothing else may be.

use std::{sync::Arc, time::Duration};

use domain::{
    Caller,
    ports::{Environment, Refused},
};

use crate::{
    claims::{self, ClaimPaths},
    config::{Config, ConfigError},
    json,
    jwks::Jwks,
    token::{Cause, Token},
};

/// Verifies login tokens.
pub struct JwtVerifier {
    keys: Jwks,
    issuer: Option<String>,
    audience: Option<String>,
    claims: ClaimPaths,
    leeway: Duration,
    environment: Arc<dyn Environment>,
}

impl JwtVerifier {
    /// Begins to keep the key set; `None` when none is configured.
    ///
    /// # Errors
    /// Says what to mend in the configuration.
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
                "login tokens are accepted whatever issuer or audience they name"
            );
        }
        let keys = Jwks::start(source, &config, Arc::clone(&environment)).await?;
        let Config { issuer, audience, claims, leeway, .. } = config;
        Ok(Some(Arc::new(Self { keys, issuer, audience, claims, leeway, environment })))
    }

    /// Whether there is a key set to verify with.
    pub fn is_ready(&self) -> bool {
        self.keys.is_loaded()
    }

    /// The caller behind a token.
    pub(crate) async fn verify(&self, text: &str) -> Result<Caller, Refused> {
        let token = Token::parse(text).map_err(Refused::Denied)?;
        let key = self.keys.find(token.key_id.as_deref(), token.algorithm).await?;
        if !key.verifies(token.message, token.signature, token.algorithm) {
            return Err(Refused::Denied("the token's signature is wrong"));
        }
        self.read(&token.payload).map_err(Refused::Denied)
    }

    /// What the claims say, now that they are known to be the issuer's.
    fn read(&self, payload: &[u8]) -> Result<Caller, Cause> {
        let claims = json::object(payload).ok_or("the claims are not a JSON object")?;
        claims::check_time(&claims, self.environment.now(), self.leeway)?;
        claims::check_origin(&claims, self.issuer.as_deref(), self.audience.as_deref())?;
        self.claims.caller(&claims)
    }
}
