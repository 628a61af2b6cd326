//! Login tokens: signed by a key of the issuer's set, meant for us, and in force now.
//!
//! An ECDSA signature (r, s) has a twin, (r, n − s), that anybody can write and that is as good. JWS knows no
//! rule against it, and half of all honest tokens have the higher s, so none is refused for it. That is
//! harmless as long as what is remembered by a token's text is only what that very text says: the twin is
//! verified and read for itself. Nothing may ever be forbidden by it.

pub(crate) mod claims;
pub(crate) mod config;
pub(crate) mod fetch;
pub(crate) mod json;
mod jwks;
pub(crate) mod key_set;
mod refresher;
pub(crate) mod token;
mod token_cache;

use std::{sync::Arc, time::Duration};

use domain::{
    Caller,
    ports::{Environment, Refused},
};
use serde_json::Value;

use self::{
    claims::{ClaimPaths, Times},
    config::{Config, ConfigError},
    jwks::Jwks,
    token::Token,
    token_cache::{Digest, Login},
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
        let token = Token::bounded(text).map_err(Refused::Denied)?;
        let digest = token_cache::digest(token);
        let known = self.keys.set().and_then(|set| set.logins.known(&digest));
        let login = match known {
            Some(login) => login,
            None => self.read(token, digest).await?,
        };
        login.caller(self.environment.now(), self.leeway).map_err(Refused::Denied)
    }

    /// Verifies a token, reads it, and remembers what it says with the set that has its key.
    async fn read(&self, text: &str, digest: Digest) -> Result<Arc<Login>, Refused> {
        let token = Token::parse(text).map_err(Refused::Denied)?;
        let set = self.keys.verify(&token).await?;
        let claims = json::object(&token.payload).ok_or("the claims are not a JSON object");
        let claims = claims.map_err(Refused::Denied)?;
        let login = Arc::new(self.login(&claims));
        set.logins.remember(digest, login.clone());
        Ok(login)
    }

    /// What the claims say, now that they are known to be the issuer's.
    fn login(&self, claims: &Value) -> Login {
        let (issuer, audience) = (self.issuer.as_deref(), self.audience.as_deref());
        let meant = claims::check_origin(claims, issuer, audience);
        let caller = meant.and_then(|()| self.claims.caller(claims));
        Login { times: Times::read(claims), caller }
    }
}
