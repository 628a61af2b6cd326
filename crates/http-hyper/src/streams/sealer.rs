//! Encryption of texts that berth gives out and reads back: bookmarks and tickets.
//!
//! Decision: ADR 0046.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// Bytes of the authentication tag.
const TAG_BYTES: usize = 16;

/// Encrypts and decrypts texts of one kind. Routers of one database share the key.
pub(crate) struct Sealer(RandomizedNonceKey);

impl Sealer {
    /// Creates the sealer with this secret.
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        #[expect(clippy::expect_used, reason = "32 bytes are the length of every key")]
        Self(RandomizedNonceKey::new(&AES_256_GCM_SIV, secret).expect("a key of 32 bytes"))
    }

    /// Returns the encrypted bytes as text: base64url of nonce, ciphertext and tag. The text opens
    /// with the same `context` only.
    ///
    /// # Errors
    /// The random source failed.
    pub(crate) fn seal(&self, context: &[u8], plain: &[u8]) -> Result<String, SealError> {
        let mut sealed = plain.to_vec();
        let nonce = self.0.seal_in_place_append_tag(Aad::from(context), &mut sealed);
        let nonce = nonce.map_err(|_| SealError)?;
        Ok(URL_SAFE_NO_PAD.encode([&nonce.as_ref()[..], &sealed].concat()))
    }

    /// Returns the ciphertext of a text; `None` for a text that no sealer made of `length` plain
    /// bytes, or of any number for `length: None`.
    pub(crate) fn parse(text: &str, length: Option<usize>) -> Option<SealedBytes> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let plain = bytes.len().checked_sub(NONCE_LEN + TAG_BYTES)?;
        length.is_none_or(|length| length == plain).then_some(SealedBytes(bytes))
    }

    /// Decrypts bytes that this sealer encrypted with the same context; `None` for other bytes.
    pub(crate) fn open(&self, context: &[u8], sealed: SealedBytes) -> Option<Vec<u8>> {
        let SealedBytes(mut bytes) = sealed;
        let mut rest = bytes.split_off(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(&bytes).ok()?;
        let plain = self.0.open_in_place(nonce, Aad::from(context), &mut rest).ok()?;
        Some(plain.to_vec())
    }
}

/// Bytes of the length of a nonce, a ciphertext and a tag.
pub(crate) struct SealedBytes(Vec<u8>);

/// The random source failed.
#[derive(Debug, thiserror::Error)]
#[error("the random source failed")]
pub(crate) struct SealError;

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(sealer: &Sealer, context: &[u8], text: &str) -> Option<Vec<u8>> {
        sealer.open(context, Sealer::parse(text, None)?)
    }

    #[test]
    fn text_opens_with_its_key_and_context_only() {
        let sealer = Sealer::new(&[1; 32]);
        let text = sealer.seal(b"acme", b"plain").unwrap();
        assert_ne!(text, sealer.seal(b"acme", b"plain").unwrap(), "nonces are random");
        assert_eq!(opened(&sealer, b"acme", &text), Some(b"plain".to_vec()));
        assert_eq!(opened(&sealer, b"zeta", &text), None);
        assert_eq!(opened(&Sealer::new(&[2; 32]), b"acme", &text), None);
    }

    #[test]
    fn changed_text_does_not_open() {
        let sealer = Sealer::new(&[1; 32]);
        let text = sealer.seal(b"", &[0; 8]).unwrap();
        for at in 0..text.len() {
            for letter in ["A", "B", "_", "", "AA", "=", " "] {
                let changed = format!("{}{letter}{}", &text[..at], &text[at + 1..]);
                assert!(changed == text || opened(&sealer, b"", &changed).is_none(), "{changed}");
            }
        }
    }

    #[test]
    fn text_of_another_length_is_not_parsed() {
        let text = Sealer::new(&[1; 32]).seal(b"", &[0; 8]).unwrap();
        assert!(Sealer::parse(&text, Some(8)).is_some());
        assert!(Sealer::parse(&text, Some(9)).is_none());
        for text in ["", "A", "AAAA", &"A".repeat(36), "ü", &format!("{text}=")] {
            assert!(Sealer::parse(text, None).is_none(), "{text}");
        }
    }
}
