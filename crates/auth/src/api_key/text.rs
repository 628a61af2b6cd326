//! The text of an API key, `wa_<key id>_<secret><checksum>`: how one is made, and how one is read
//! without asking anybody.
//!
//! All three parts are base62 of a fixed width: 22 digits of key id (128 bits), 43 of secret
//! (256 bits), 6 of CRC-32 over everything before them. The checksum is no security: it refuses a
//! typo without a look-up, and lets a scanner tell a leaked key from a chance likeness.

use domain::{
    KeyId,
    ports::{GeneratedKey, KeyGenerator, PresentedKey},
};
use rustls::crypto::SecureRandom;
use sha2::{Digest, Sha256};

use super::base62;

const PREFIX: &str = "wa_";
const ID: usize = 22;
const SECRET: usize = 43;
const CHECKSUM: usize = 6;
const BODY: usize = PREFIX.len() + ID + 1 + SECRET;

/// Makes the text of API keys from 256 bits of the TLS library's random source: the one
/// cryptographic source this process has anyway, seeded by the operating system.
#[derive(Debug)]
pub struct KeyForge {
    random: &'static dyn SecureRandom,
}

impl Default for KeyForge {
    fn default() -> Self {
        Self { random: rustls::crypto::aws_lc_rs::default_provider().secure_random }
    }
}

impl KeyGenerator for KeyForge {
    fn generate(&self, id: &KeyId) -> GeneratedKey {
        let mut secret = [0; 32];
        // The port knows no failure, and this source aborts rather than fail. Should it ever
        // fail, a request that ends here is better than a key that can be guessed.
        assert!(self.random.fill(&mut secret).is_ok(), "the random source failed");
        GeneratedKey { key: spell(id, &secret), digest: digest(&secret) }
    }

    fn prefix(&self, id: &KeyId) -> String {
        prefix(id)
    }
}

/// Whether the text claims to be an API key, well-made or not. No JWT begins like this: its first
/// characters are those of an encoded `{`.
pub(crate) fn is_claimed_by(text: &str) -> bool {
    text.starts_with(PREFIX)
}

/// What the text of a key shows of it; `None` for anything that [`KeyForge`] cannot have made.
pub(crate) fn parse(text: &str) -> Option<PresentedKey> {
    if text.len() != BODY + CHECKSUM || !text.is_ascii() {
        return None;
    }
    let (body, checksum) = text.split_at(BODY);
    if base62::decode(checksum)? != crc32fast::hash(body.as_bytes()).to_be_bytes() {
        return None;
    }
    let (id, rest) = body.strip_prefix(PREFIX)?.split_at(ID);
    let secret = base62::decode::<32>(rest.strip_prefix('_')?)?;
    let id = KeyId::from_bits(u128::from_be_bytes(base62::decode(id)?));
    Some(PresentedKey { id, digest: digest(&secret) })
}

fn prefix(id: &KeyId) -> String {
    format!("{PREFIX}{}", base62::encode(&id.bits().to_be_bytes(), ID))
}

pub(crate) fn spell(id: &KeyId, secret: &[u8; 32]) -> String {
    let body = format!("{}_{}", prefix(id), base62::encode(secret, SECRET));
    let checksum = crc32fast::hash(body.as_bytes()).to_be_bytes();
    body + &base62::encode(&checksum, CHECKSUM)
}

/// The same text, spelt anew from what is read in it.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn respelt(text: &str) -> Option<String> {
    let id = parse(text)?.id;
    let secret = text.get(PREFIX.len() + ID + 1..BODY)?;
    Some(spell(&id, &base62::decode(secret)?))
}

/// A fast hash is enough: 256 random bits cannot be searched for, unlike a password.
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
        fn a_key_is_read_as_it_was_made(bits: u128) {
            let id = KeyId::from_bits(bits);
            let made = KeyForge::default().generate(&id);
            let read = parse(&made.key).expect("our own key");
            prop_assert_eq!(read.id, id);
            prop_assert_eq!(read.digest, made.digest);
        }

        #[test]
        fn every_single_typo_is_caught(bits: u128, secret: [u8; 32], by in 1_u8..95) {
            let key = spell(&KeyId::from_bits(bits), &secret);
            for place in 0..key.len() {
                let mut typo = key.clone().into_bytes();
                // Another printable character, each as likely.
                typo[place] = b' ' + (typo[place] - b' ' + by) % 95;
                let typo = String::from_utf8(typo).expect("printable");
                prop_assert!(parse(&typo).is_none(), "{typo} for {key}");
            }
        }

        #[test]
        fn no_text_breaks_the_reader(text in ".*") {
            prop_assert!(parse(&text).is_none());
            let key_like = ["wa_", &text].concat();
            prop_assert!(parse(&key_like).is_none());
        }
    }

    #[test]
    fn a_key_has_the_promised_shape() {
        let key = KeyForge::default().generate(&KeyId::from_bits(7)).key;
        let parts: Vec<_> = key.split('_').collect();
        assert_eq!(parts.iter().map(|p| p.len()).collect::<Vec<_>>(), [2, 22, 49]);
        assert!(key.starts_with("wa_000000000000000000000"));
        assert_eq!(KeyForge::default().prefix(&KeyId::from_bits(7)), key[..3 + 22]);
        assert!(parts.iter().all(|p| p.chars().all(|c| c.is_ascii_alphanumeric())));
    }

    #[test]
    fn two_keys_of_one_name_differ() {
        let id = KeyId::from_bits(7);
        assert!(KeyForge::default().generate(&id) != KeyForge::default().generate(&id));
    }

    #[test]
    fn swapped_characters_and_other_lengths_are_caught() {
        let key = spell(&KeyId::from_bits(u128::MAX), &[7; 32]);
        for place in 1..key.len() {
            let mut swapped = key.clone().into_bytes();
            swapped.swap(place - 1, place);
            let swapped = String::from_utf8(swapped).expect("ascii");
            assert!(swapped == key || parse(&swapped).is_none(), "{swapped}");
        }
        for other in [&key[1..], &key[..key.len() - 1], &format!("{key}0"), &format!(" {key}")] {
            assert!(parse(other).is_none(), "{other}");
        }
    }
}
