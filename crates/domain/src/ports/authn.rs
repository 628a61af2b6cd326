//! Ports of authentication: credentials, callers and key generation.

use async_trait::async_trait;

use crate::{browser_session::model::SignIn, caller::Caller, id::KeyId, ports::error::BoxError};

/// Credential of a request. `Debug` omits the secret.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// A bearer credential: a login token or an API key.
    Bearer(String),
    /// An API key in its own header.
    ApiKey(String),
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Bearer(_) => "Bearer(…)",
            Self::ApiKey(_) => "ApiKey(…)",
        })
    }
}

/// Reason why a credential is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The credential is invalid. The cause is for the log only: all callers get the same answer.
    #[error("credential refused: {0}")]
    Denied(&'static str),
    /// The credential cannot be verified now, because a dependency is not reachable.
    #[error("cannot verify credentials now")]
    Unavailable(#[source] BoxError),
}

/// Finds the caller behind a credential.
#[async_trait]
pub trait Authenticator: Send + Sync {
    /// Returns the caller behind `credential`.
    ///
    /// # Errors
    /// [`Refused`].
    async fn authenticate(&self, credential: &Credential) -> Result<Caller, Refused>;

    /// Returns the login from which a browser session begins. Unlike the caller, the login has every
    /// organization that a token names.
    ///
    /// # Errors
    /// [`Refused`].
    async fn sign_in(&self, credential: &Credential) -> Result<SignIn, Refused> {
        self.authenticate(credential).await.map(SignIn::of_caller)
    }
}

/// A new API key.
#[derive(Clone, PartialEq, Eq)]
pub struct GeneratedKey {
    /// Full text of the key. Shown once and never stored.
    pub key: String,
    /// SHA-256 of the secret, which is stored.
    pub digest: [u8; 32],
}

/// An API key as a request presents it: the claimed id and the digest of the secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PresentedKey {
    /// Claimed id.
    pub id: KeyId,
    /// As [`GeneratedKey::digest`].
    pub digest: [u8; 32],
}

/// Generates the text of API keys.
pub trait KeyGenerator: Send + Sync {
    /// Generates a key with this id.
    fn generate(&self, id: &KeyId) -> GeneratedKey;

    /// Returns the first part of the text of the key with this id. The prefix is not secret.
    fn prefix(&self, id: &KeyId) -> String;
}
