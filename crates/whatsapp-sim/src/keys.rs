//! Curve25519 keys in the protocol's form: 32 bytes, without the type byte of libsignal.

use sha2::{Digest, Sha256};
use wacore::libsignal::protocol::{CurveError, KeyPair, PrivateKey, PublicKey};

/// A public key.
pub(crate) type Key = [u8; 32];

/// Returns the public key of a pair in the protocol's form.
pub(crate) fn public(pair: &KeyPair) -> Key {
    let mut key = Key::default();
    key.copy_from_slice(&pair.public_key.serialize()[1..]);
    key
}

pub(crate) fn generate() -> KeyPair {
    KeyPair::generate(&mut rand::rng())
}

/// Returns the pair of a private key.
pub(crate) fn pair(private: &[u8]) -> Result<KeyPair, CurveError> {
    let private_key = PrivateKey::deserialize(private)?;
    Ok(KeyPair::new(private_key.public_key()?, private_key))
}

/// Derives a pair from a seed and a purpose.
pub(crate) fn seeded(seed: &str, purpose: &str) -> Result<KeyPair, CurveError> {
    pair(&Sha256::new().chain_update(purpose).chain_update([0]).chain_update(seed).finalize())
}

/// Derives a pair from the private key of another pair and a purpose.
pub(crate) fn derived(from: &KeyPair, purpose: &str) -> Result<KeyPair, CurveError> {
    pair(&digest(from, purpose))
}

/// Derives the registration id of a phone from its account key: 1 to 16,383.
pub(crate) fn registration(from: &KeyPair) -> u32 {
    let [a, b, ..] = digest(from, "registration");
    u32::from(u16::from_be_bytes([a, b]) & 0x3fff).max(1)
}

fn digest(from: &KeyPair, purpose: &str) -> Key {
    let private = from.private_key.serialize();
    Sha256::new().chain_update(purpose).chain_update([0]).chain_update(private).finalize().into()
}

pub(crate) fn curve(key: &Key) -> Result<PublicKey, CurveError> {
    PublicKey::from_djb_public_key_bytes(key)
}

/// Signs the concatenated parts with `XEdDSA`.
pub(crate) fn sign(pair: &KeyPair, parts: &[&[u8]]) -> Result<Vec<u8>, CurveError> {
    Ok(pair.private_key.calculate_signature(&parts.concat(), &mut rand::rng())?.to_vec())
}

pub(crate) fn verify(key: &Key, parts: &[&[u8]], signature: &[u8]) -> bool {
    curve(key).is_ok_and(|key| key.verify_signature(&parts.concat(), signature))
}
