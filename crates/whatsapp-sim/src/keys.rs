//! Curve25519 keys as the wire writes them: 32 bytes, without the type byte that libsignal puts in
//! front.

use sha2::{Digest, Sha256};
use wacore::libsignal::protocol::{CurveError, KeyPair, PrivateKey, PublicKey};

/// The 32 bytes of a public key.
pub(crate) type Key = [u8; 32];

/// The wire form of a pair's public half.
pub(crate) fn public(pair: &KeyPair) -> Key {
    let mut key = Key::default();
    key.copy_from_slice(&pair.public_key.serialize()[1..]);
    key
}

pub(crate) fn generate() -> KeyPair {
    KeyPair::generate(&mut rand::rng())
}

/// The pair of a private key.
pub(crate) fn pair(private: &[u8]) -> Result<KeyPair, CurveError> {
    let private_key = PrivateKey::deserialize(private)?;
    Ok(KeyPair::new(private_key.public_key()?, private_key))
}

/// The same pair for the same seed and purpose, always.
pub(crate) fn seeded(seed: &str, purpose: &str) -> Result<KeyPair, CurveError> {
    pair(&Sha256::new().chain_update(purpose).chain_update([0]).chain_update(seed).finalize())
}

pub(crate) fn curve(key: &Key) -> Result<PublicKey, CurveError> {
    PublicKey::from_djb_public_key_bytes(key)
}

/// An `XEdDSA` signature over the parts, one after another.
pub(crate) fn sign(pair: &KeyPair, parts: &[&[u8]]) -> Result<Vec<u8>, CurveError> {
    Ok(pair.private_key.calculate_signature(&parts.concat(), &mut rand::rng())?.to_vec())
}

pub(crate) fn verify(key: &Key, parts: &[&[u8]], signature: &[u8]) -> bool {
    curve(key).is_ok_and(|key| key.verify_signature(&parts.concat(), signature))
}
