//! The text of an API key, `wa_<key id>_<secret><checksum>`: generation and parsing.
//!
//! All three parts are base62 of a fixed width: 22 digits of key id (128 bits), 43 of secret
//! (256 bits), 6 of CRC-32 over all characters before it. The checksum gives no security: it
//! rejects a typing error without a lookup, and lets a scanner distinguish a leaked key from a
//! random text of the same form.

use domain::{
    KeyId,
    ports::{GeneratedKey, KeyGenerator, PresentedKey},
};
use rustls::crypto::SecureRandom;
use sha2::{Digest, Sha256};

use super::base62;

const PREFIX: &str = "wa_";
const ID_LENGTH: usize = 22;
const SECRET_LENGTH: usize = 43;
const CHECKSUM_LENGTH: usize = 6;
/// The length of all characters before the checksum.
const BODY_LENGTH: usize = PREFIX.len() + ID_LENGTH + 1 + SECRET_LENGTH;

/// Generates API keys from 256 bits of the random source of the TLS library, which the operating
/// system seeds. The process needs no second cryptographic source.
#[derive(Debug)]
pub struct RandomKeyGenerator {
    random: &'static dyn SecureRandom,
}

impl Default for RandomKeyGenerator {
    fn default() -> Self {
        Self { random: rustls::crypto::aws_lc_rs::default_provider().secure_random }
    }
}

impl KeyGenerator for RandomKeyGenerator {
    fn generate(&self, id: &KeyId) -> GeneratedKey {
        let mut secret = [0; 32];
        // The port has no error, and this random source aborts instead of failing. If it fails
        // after all, a panic in one request is better than a key that can be guessed.
        assert!(self.random.fill(&mut secret).is_ok(), "the random source failed");
        GeneratedKey { key: format_key(id, &secret), digest: digest(&secret) }
    }

    fn prefix(&self, id: &KeyId) -> String {
        prefix(id)
    }
}

/// Returns true if the text has the prefix of an API key, well-formed or not. No JWT has this
/// prefix: a JWT begins with the base64 of `{`.
pub(crate) fn has_prefix(text: &str) -> bool {
    text.starts_with(PREFIX)
}

/// Returns the key id and the digest of the secret; `None` for a text that
/// [`RandomKeyGenerator`] cannot have generated.
pub(crate) fn parse(text: &str) -> Option<PresentedKey> {
    if text.len() != BODY_LENGTH + CHECKSUM_LENGTH || !text.is_ascii() {
        return None;
    }
    let (body, checksum) = text.split_at(BODY_LENGTH);
    if base62::decode(checksum)? != crc32fast::hash(body.as_bytes()).to_be_bytes() {
        return None;
    }
    let (id, rest) = body.strip_prefix(PREFIX)?.split_at(ID_LENGTH);
    let secret = base62::decode::<32>(rest.strip_prefix('_')?)?;
    let id = KeyId::from_bits(u128::from_be_bytes(base62::decode(id)?));
    Some(PresentedKey { id, digest: digest(&secret) })
}

fn prefix(id: &KeyId) -> String {
    format!("{PREFIX}{}", base62::encode(&id.bits().to_be_bytes(), ID_LENGTH))
}

pub(crate) fn format_key(id: &KeyId, secret: &[u8; 32]) -> String {
    let body = format!("{}_{}", prefix(id), base62::encode(secret, SECRET_LENGTH));
    let checksum = crc32fast::hash(body.as_bytes()).to_be_bytes();
    body + &base62::encode(&checksum, CHECKSUM_LENGTH)
}

/// Parses a key and formats it again; `None` when the text cannot be parsed.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn reformat(text: &str) -> Option<String> {
    let id = parse(text)?.id;
    let secret = text.get(PREFIX.len() + ID_LENGTH + 1..BODY_LENGTH)?;
    Some(format_key(&id, &base62::decode(secret)?))
}

/// Returns the digest by which the directory finds the key. A fast hash is enough: unlike a
/// password, 256 random bits cannot be searched.
fn digest(secret: &[u8; 32]) -> [u8; 32] {
    Sha256::digest(secret).into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn generated_key_can_be_parsed(bits: u128) {
            let id = KeyId::from_bits(bits);
            let generated = RandomKeyGenerator::default().generate(&id);
            let parsed = parse(&generated.key).expect("a generated key");
            prop_assert_eq!(parsed.id, id);
            prop_assert_eq!(parsed.digest, generated.digest);
        }

        #[test]
        fn every_single_typo_is_rejected(bits: u128, secret: [u8; 32], by in 1_u8..95) {
            let key = format_key(&KeyId::from_bits(bits), &secret);
            for position in 0..key.len() {
                let mut typo = key.clone().into_bytes();
                // Another printable character; all are equally likely.
                typo[position] = b' ' + (typo[position] - b' ' + by) % 95;
                let typo = String::from_utf8(typo).expect("printable");
                prop_assert!(parse(&typo).is_none(), "{typo} for {key}");
            }
        }

        #[test]
        fn arbitrary_text_is_rejected(text in ".*") {
            prop_assert!(parse(&text).is_none());
            let key_like = ["wa_", &text].concat();
            prop_assert!(parse(&key_like).is_none());
        }
    }

    #[test]
    fn key_has_the_documented_format() {
        let key = RandomKeyGenerator::default().generate(&KeyId::from_bits(7)).key;
        let parts: Vec<_> = key.split('_').collect();
        assert_eq!(parts.iter().map(|p| p.len()).collect::<Vec<_>>(), [2, 22, 49]);
        assert!(key.starts_with("wa_000000000000000000000"));
        assert_eq!(RandomKeyGenerator::default().prefix(&KeyId::from_bits(7)), key[..3 + 22]);
        assert!(parts.iter().all(|p| p.chars().all(|c| c.is_ascii_alphanumeric())));
    }

    #[test]
    fn two_keys_of_one_id_differ() {
        let (id, generator) = (KeyId::from_bits(7), RandomKeyGenerator::default());
        assert!(generator.generate(&id) != generator.generate(&id));
    }

    #[test]
    fn swapped_characters_and_other_lengths_are_rejected() {
        let key = format_key(&KeyId::from_bits(u128::MAX), &[7; 32]);
        for position in 1..key.len() {
            let mut swapped = key.clone().into_bytes();
            swapped.swap(position - 1, position);
            let swapped = String::from_utf8(swapped).expect("ascii");
            assert!(swapped == key || parse(&swapped).is_none(), "{swapped}");
        }
        for other in [&key[1..], &key[..key.len() - 1], &format!("{key}0"), &format!(" {key}")] {
            assert!(parse(other).is_none(), "{other}");
        }
    }
}
