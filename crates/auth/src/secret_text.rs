//! Texts with an id and a secret, `<prefix><id>_<secret><checksum>`, as API keys and share links have
//! them.
//!
//! All three parts are base62 of a fixed width: 22 digits of id (128 bits), 43 of secret (256 bits),
//! 6 of CRC-32 over all characters before it. The checksum gives no security: it rejects a typing
//! error without a lookup, and lets a scanner distinguish a leaked secret from a random text of the
//! same form.

use rustls::crypto::SecureRandom;
use sha2::{Digest, Sha256};

use crate::base62;

const ID_LENGTH: usize = 22;
const SECRET_LENGTH: usize = 43;
const CHECKSUM_LENGTH: usize = 6;

/// Returns 256 random bits.
pub(crate) fn fill(random: &dyn SecureRandom) -> [u8; 32] {
    let mut secret = [0; 32];
    // The ports have no error, and this random source aborts instead of failing. If it fails after
    // all, a panic in one request is better than a secret that can be guessed.
    assert!(random.fill(&mut secret).is_ok(), "the random source failed");
    secret
}

/// Returns the part of a text that is no secret.
pub(crate) fn format_prefix(prefix: &str, id: u128) -> String {
    format!("{prefix}{}", base62::encode(&id.to_be_bytes(), ID_LENGTH))
}

/// Returns the whole text.
pub(crate) fn format_secret(prefix: &str, id: u128, secret: &[u8; 32]) -> String {
    let body = format!("{}_{}", format_prefix(prefix, id), base62::encode(secret, SECRET_LENGTH));
    let checksum = crc32fast::hash(body.as_bytes()).to_be_bytes();
    body + &base62::encode(&checksum, CHECKSUM_LENGTH)
}

/// Returns the id and the secret; `None` for a text that [`format_secret`] cannot return.
pub(crate) fn parse_secret(prefix: &str, text: &str) -> Option<(u128, [u8; 32])> {
    // The length of all characters before the checksum.
    let length = prefix.len() + ID_LENGTH + 1 + SECRET_LENGTH;
    if text.len() != length + CHECKSUM_LENGTH || !text.is_ascii() {
        return None;
    }
    let (body, checksum) = text.split_at(length);
    if base62::decode(checksum)? != crc32fast::hash(body.as_bytes()).to_be_bytes() {
        return None;
    }
    let (id, rest) = body.strip_prefix(prefix)?.split_at(ID_LENGTH);
    let secret = base62::decode::<32>(rest.strip_prefix('_')?)?;
    Some((u128::from_be_bytes(base62::decode(id)?), secret))
}

/// Returns the digest by which a store finds a secret. A fast hash is enough: unlike a password, 256
/// random bits cannot be searched.
pub(crate) fn digest(secret: &[u8; 32]) -> [u8; 32] {
    Sha256::digest(secret).into()
}
