//! Sealing of secrets for storage.
//!
//! Decision: ADR 0042.

use std::fmt;

use async_trait::async_trait;

use crate::{id::OrganizationId, ports::error::BoxError};

/// The place of a sealed secret. A secret opens only with the context that it was sealed with, so
/// that a sealed value moved to another row opens nowhere.
#[derive(Clone, Copy, Debug)]
pub struct SealContext<'a> {
    /// Organization that owns the secret, and whose data key seals it.
    pub organization: &'a OrganizationId,
    /// Id of the entity that has the secret.
    pub entity: &'a str,
    /// Name of the entity's field.
    pub field: &'static str,
}

/// A sealed secret, as stored. Contains no key.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedSecret(pub Vec<u8>);

/// Shows the length only.
impl fmt::Debug for SealedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedSecret({} bytes)", self.0.len())
    }
}

/// Error of a sealer.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The operator has configured no seal key, or not the one that is needed.
    #[error("no seal key")]
    NoKey(#[source] BoxError),
    /// The store of data keys is not reachable now.
    #[error("data keys unavailable")]
    Unavailable(#[source] BoxError),
    /// The sealed secret was changed, belongs to another context, or cannot be read.
    #[error("sealed secret broken")]
    Broken(#[source] BoxError),
}

/// Seals secrets with keys that are not in the database.
#[async_trait]
pub trait SecretSealer: Send + Sync {
    /// Seals a secret. Two seals of one secret differ.
    ///
    /// # Errors
    /// [`SealError`]; [`SealError::NoKey`] without a seal key.
    async fn seal(
        &self,
        context: &SealContext<'_>,
        secret: &[u8],
    ) -> Result<SealedSecret, SealError>;

    /// Opens a sealed secret of the same context.
    ///
    /// # Errors
    /// [`SealError`]; [`SealError::NoKey`] if the seal key that wraps the organization's data key is
    /// missing.
    async fn open(
        &self,
        context: &SealContext<'_>,
        sealed: &SealedSecret,
    ) -> Result<Vec<u8>, SealError>;
}
