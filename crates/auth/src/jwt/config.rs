//! The configuration of login tokens, with errors that tell an operator how to correct it.

use std::{path::PathBuf, time::Duration};

use super::{
    claims::ClaimPaths,
    fetch::FetchError,
    key_set::KeySetError,
    source::{Source, SourceError},
};

/// How login tokens are verified. `docs/login-tokens.md` describes the defaults.
#[derive(Clone, Debug)]
pub struct Config {
    /// The source of the issuer's public keys. With `None` only API keys are accepted.
    pub jwks: Option<Source>,
    /// The required value of `iss`; `None` accepts any.
    pub issuer: Option<String>,
    /// The value that `aud` must be or contain; `None` accepts any.
    pub audience: Option<String>,
    /// The locations of organization and roles in the claims.
    pub claims: ClaimPaths,
    /// The tolerated difference between the issuer's clock and this router's clock.
    pub leeway: Duration,
    /// The time between two fetches of the key set. A file is read at least every 5 s.
    pub refresh_interval: Duration,
    /// The minimum time between two fetches that tokens of unknown keys cause.
    pub cool_down: Duration,
    /// The time after which a key set that could not be fetched again is no longer used.
    pub max_stale: Duration,
    /// The maximum duration of one fetch.
    pub fetch_timeout: Duration,
    /// The maximum time that a request waits for a fetch when no known key signed its token. Other
    /// requests never wait.
    pub max_wait: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            jwks: None,
            issuer: None,
            audience: None,
            claims: ClaimPaths::default(),
            leeway: Duration::from_secs(30),
            refresh_interval: Duration::from_mins(10),
            cool_down: Duration::from_secs(30),
            max_stale: Duration::from_hours(24),
            fetch_timeout: Duration::from_secs(5),
            max_wait: Duration::from_secs(2),
        }
    }
}

/// Why login tokens cannot be verified with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The source of the key set cannot be used.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The expected issuer or audience is empty, so no token can match.
    #[error("the expected {0} is empty: leave it out to accept any")]
    Empty(&'static str),
    /// The file of the key set cannot be read.
    #[error("the key set cannot be read from {path}")]
    File {
        /// The path of the file.
        path: PathBuf,
        /// Why the file cannot be read.
        #[source]
        source: FetchError,
    },
    /// The JSON is not a key set, or no key of the set is usable.
    #[error("the key set from {origin} cannot be used: {source}")]
    KeySet {
        /// `inline JSON`, or the path of the file.
        origin: String,
        /// Why the set cannot be used.
        #[source]
        source: KeySetError,
    },
    /// TLS cannot be set up for fetches.
    #[error(transparent)]
    Tls(FetchError),
}
