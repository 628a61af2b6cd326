//! Authenticated encryption: AES-256-GCM (NIST SP 800-38D) with a random nonce of 96 bits.
//!
//! A key encrypts at most about 2^32 values under random nonces (SP 800-38D, section 8.3). A data
//! key seals the secrets of one organization, and a seal key wraps one data key per organization.

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use domain::ports::BoxError;

/// The length of a key, in bytes.
pub(crate) const KEY_LENGTH: usize = 32;
const NONCE_LENGTH: usize = 12;

/// A key that encrypts and decrypts.
pub(crate) struct Cipher(RandomizedNonceKey);

/// The texts that bind an encrypted value to its place.
pub(crate) struct Binding(Vec<u8>);

impl Binding {
    /// Creates a binding for a purpose and its parts. The parts are length-prefixed, so that
    /// different lists give different bindings.
    pub(crate) fn new(purpose: &str, parts: &[&str]) -> Self {
        let mut all = Vec::new();
        for part in [purpose].iter().chain(parts) {
            all.extend_from_slice(&(part.len() as u64).to_be_bytes());
            all.extend_from_slice(part.as_bytes());
        }
        Self(all)
    }
}

impl Cipher {
    /// # Errors
    /// When the key does not have 32 bytes.
    pub(crate) fn new(key: &[u8]) -> Result<Self, BoxError> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, key);
        Ok(Self(key.map_err(|_| "the key does not have 32 bytes")?))
    }

    /// Encrypts a value; returns nonce and ciphertext.
    pub(crate) fn encrypt(&self, binding: &Binding, value: &[u8]) -> Result<Vec<u8>, BoxError> {
        let mut text = value.to_vec();
        let nonce = self.0.seal_in_place_append_tag(Aad::from(&binding.0), &mut text);
        let mut encrypted = nonce.map_err(|_| "the value cannot be encrypted")?.as_ref().to_vec();
        encrypted.append(&mut text);
        Ok(encrypted)
    }

    /// Decrypts nonce and ciphertext.
    ///
    /// # Errors
    /// When the value was changed, or was encrypted with another key or binding.
    pub(crate) fn decrypt(&self, binding: &Binding, encrypted: &[u8]) -> Result<Vec<u8>, BoxError> {
        let (nonce, text) = encrypted.split_at_checked(NONCE_LENGTH).ok_or("it is too short")?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| "it has no nonce")?;
        let mut text = text.to_vec();
        let opened = self.0.open_in_place(nonce, Aad::from(&binding.0), &mut text);
        Ok(opened.map_err(|_| "it was changed, or belongs to another key or place")?.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_decrypts_with_its_key_and_binding_only() {
        let [mine, other] =
            [[1; KEY_LENGTH], [2; KEY_LENGTH]].map(|key| Cipher::new(&key).unwrap());
        let binding = Binding::new("test", &["a", "b"]);
        let encrypted = mine.encrypt(&binding, b"secret").unwrap();
        assert_ne!(encrypted, mine.encrypt(&binding, b"secret").unwrap());
        assert_eq!(mine.decrypt(&binding, &encrypted).unwrap(), b"secret");
        assert!(other.decrypt(&binding, &encrypted).is_err());
        for parts in [vec!["ab"], vec!["a", "b", ""], vec!["b", "a"], vec!["", "ab"]] {
            assert!(mine.decrypt(&Binding::new("test", &parts), &encrypted).is_err(), "{parts:?}");
        }
        for at in 0..encrypted.len() {
            let mut changed = encrypted.clone();
            changed[at] ^= 1;
            assert!(mine.decrypt(&binding, &changed).is_err(), "{at}");
            assert!(mine.decrypt(&binding, &encrypted[..at]).is_err(), "{at}");
        }
        assert!(Cipher::new(&[0; 31]).is_err());
    }
}
