//! The text of a share link, `lnk_<link id>_<secret><checksum>`: generation and parsing.

use domain::{
    LinkId,
    ports::{GeneratedSecret, LinkSecrets, PresentedLink},
};
use rustls::crypto::SecureRandom;

use crate::secret_text::{digest, fill, format_secret, parse_secret};

const PREFIX: &str = "lnk_";

/// Generates and reads the secrets of share links, with the random source of the TLS library.
#[derive(Debug)]
pub struct RandomLinkSecrets {
    random: &'static dyn SecureRandom,
}

impl Default for RandomLinkSecrets {
    fn default() -> Self {
        Self { random: rustls::crypto::aws_lc_rs::default_provider().secure_random }
    }
}

impl LinkSecrets for RandomLinkSecrets {
    fn generate(&self, id: &LinkId) -> GeneratedSecret {
        let secret = fill(self.random);
        GeneratedSecret { text: format_secret(PREFIX, id.bits(), &secret), digest: digest(&secret) }
    }

    fn read(&self, text: &str) -> Option<PresentedLink> {
        let (id, secret) = parse_secret(PREFIX, text)?;
        Some(PresentedLink { id: LinkId::from_bits(id), digest: digest(&secret) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_link_is_read_back() {
        let (secrets, id) = (RandomLinkSecrets::default(), LinkId::from_bits(u128::MAX));
        let (first, second) = (secrets.generate(&id), secrets.generate(&id));
        assert_ne!(first.text, second.text);
        let read = secrets.read(&first.text).expect("a generated link");
        assert_eq!(read, PresentedLink { id, digest: first.digest });
        let parts: Vec<_> = first.text.split('_').map(str::len).collect();
        assert_eq!(parts, [3, 22, 49]);
    }

    #[test]
    fn other_texts_are_no_links() {
        let secrets = RandomLinkSecrets::default();
        let text = secrets.generate(&LinkId::from_bits(7)).text;
        let key = format!("wa_{}", &text[4..]);
        for other in ["", "lnk_", &text[1..], &text[..text.len() - 1], &format!("{text} "), &key] {
            assert_eq!(secrets.read(other), None, "{other}");
        }
        for position in 0..text.len() {
            let mut typo = text.clone().into_bytes();
            typo[position] = if typo[position] == b'x' { b'y' } else { b'x' };
            let typo = String::from_utf8(typo).expect("ascii");
            assert_eq!(secrets.read(&typo), None, "{typo}");
        }
    }
}
