//! Credentials: who vouches for a caller, and who makes key secrets.

use async_trait::async_trait;

use crate::{caller::Caller, id::KeyId, ports::error::BoxError};

/// What a request carries to say who is asking. `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// `Authorization: Bearer …`: a login token or an API key.
    Bearer(String),
    /// `X-Api-Key: …`: an API key.
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

/// Why a credential was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It is not good. The cause is for the log alone: callers are all told the same.
    #[error("credential refused: {0}")]
    Denied(&'static str),
    /// Cannot be said now: whoever vouches cannot be reached.
    #[error("cannot verify credentials now")]
    Unavailable(#[source] BoxError),
}

/// Says who a credential belongs to.
#[async_trait]
pub trait Authenticator: Send + Sync {
    /// The caller behind `credential`.
    async fn authenticate(&self, credential: &Credential) -> Result<Caller, Refused>;
}

/// A key's secret part, freshly made.
#[derive(Clone, PartialEq, Eq)]
pub struct GeneratedKey {
    /// The whole key, as its holder will send it. Shown once, stored nowhere.
    pub key: String,
    /// What is stored instead.
    pub digest: [u8; 32],
}

/// What is shown of an API key at the door: the name it claims, and the digest of its secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PresentedKey {
    /// The name.
    pub id: KeyId,
    /// As [`GeneratedKey::digest`].
    pub digest: [u8; 32],
}

/// Makes the text of API keys.
pub trait KeyGenerator: Send + Sync {
    /// A fresh key under this name.
    fn generate(&self, id: &KeyId) -> GeneratedKey;

    /// How the text of the key of this name begins: enough to recognise it by, and no secret.
    fn prefix(&self, id: &KeyId) -> String;
}
