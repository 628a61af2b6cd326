//! Port of the secrets of share links.

use crate::id::LinkId;

/// A new secret.
#[derive(Clone, PartialEq, Eq)]
pub struct GeneratedSecret {
    /// Text that the holder presents. Shown once and never stored.
    pub text: String,
    /// SHA-256 of the secret, which is stored.
    pub digest: [u8; 32],
}

/// A share link as a request presents it: the claimed id and the digest of the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresentedLink {
    /// Claimed id.
    pub id: LinkId,
    /// As [`GeneratedSecret::digest`].
    pub digest: [u8; 32],
}

/// Generates and reads the secrets of share links.
pub trait LinkSecrets: Send + Sync {
    /// Generates the text of the link with this id.
    fn generate(&self, id: &LinkId) -> GeneratedSecret;

    /// Returns the id and the digest in the text of a link. `None` for a text that
    /// [`generate`](Self::generate) cannot return.
    fn read(&self, text: &str) -> Option<PresentedLink>;
}
