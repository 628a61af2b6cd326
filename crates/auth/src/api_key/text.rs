//! The text of an API key, `wa_<key id>_<secret><checksum>`: generation and parsing.

use domain::{
    KeyId,
    ports::{GeneratedKey, KeyGenerator, PresentedKey},
};
use rustls::crypto::SecureRandom;

use crate::secret_text::{digest, fill, format_prefix, format_secret, parse_secret};

const PREFIX: &str = "wa_";

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
        let secret = fill(self.random);
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
    let (id, secret) = parse_secret(PREFIX, text)?;
    Some(PresentedKey { id: KeyId::from_bits(id), digest: digest(&secret) })
}

fn prefix(id: &KeyId) -> String {
    format_prefix(PREFIX, id.bits())
}

pub(crate) fn format_key(id: &KeyId, secret: &[u8; 32]) -> String {
    format_secret(PREFIX, id.bits(), secret)
}

/// Parses a key and formats it again; `None` when the text cannot be parsed.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn reformat(text: &str) -> Option<String> {
    let (id, secret) = parse_secret(PREFIX, text)?;
    Some(format_key(&KeyId::from_bits(id), &secret))
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
