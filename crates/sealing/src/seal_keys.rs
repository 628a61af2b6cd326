//! The seal keys of the operator: `ID=BASE64,ID=BASE64`, the newest first.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::zeroize::Zeroizing;

use crate::envelope::{Cipher, KEY_LENGTH};

/// The maximum length of an id, in characters.
const MAX_ID: usize = 32;

/// Seal keys, of which the first wraps new data keys and any unwraps. Without a key, nothing can be
/// sealed. `Debug` shows the ids only.
#[derive(Default)]
pub struct SealKeys(Vec<SealKey>);

pub(crate) struct SealKey {
    pub(crate) id: String,
    pub(crate) cipher: Cipher,
}

/// The error for a text that is no list of seal keys. The message never contains a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {entry} {reason}")]
pub struct InvalidSealKeys {
    /// The number of the entry, from 1.
    pub entry: usize,
    /// The rule that the entry breaks.
    pub reason: &'static str,
}

impl SealKeys {
    /// Returns the key that wraps new data keys.
    pub(crate) fn first(&self) -> Option<&SealKey> {
        self.0.first()
    }

    pub(crate) fn find(&self, id: &str) -> Option<&SealKey> {
        self.0.iter().find(|key| key.id == id)
    }

    /// Returns the ids, the newest first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|key| key.id.as_str())
    }

    /// Returns whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl SealKey {
    fn parse(entry: &str) -> Result<Self, &'static str> {
        let (id, key) = entry.split_once('=').ok_or("is not of the form ID=BASE64")?;
        let is_valid = |letter: u8| letter.is_ascii_alphanumeric() || matches!(letter, b'-' | b'_');
        if id.is_empty() || id.len() > MAX_ID || !id.bytes().all(is_valid) {
            return Err("has no id of 1 to 32 letters, digits, - and _");
        }
        let key = STANDARD.decode(key).map(Zeroizing::new);
        let key = key.map_err(|_| "has a key that is not base64 with padding")?;
        if key.len() != KEY_LENGTH {
            return Err("has a key that does not have 32 bytes");
        }
        let cipher = Cipher::new(&key).map_err(|_| "has a key that cannot be used")?;
        Ok(Self { id: id.to_owned(), cipher })
    }
}

impl FromStr for SealKeys {
    type Err = InvalidSealKeys;

    fn from_str(text: &str) -> Result<Self, InvalidSealKeys> {
        let mut keys = Self::default();
        for (index, entry) in text.split(',').map(str::trim).enumerate() {
            let invalid = |reason| InvalidSealKeys { entry: index + 1, reason };
            let key = SealKey::parse(entry).map_err(invalid)?;
            if keys.find(&key.id).is_some() {
                return Err(invalid("has the id of an earlier entry"));
            }
            keys.0.push(key);
        }
        Ok(keys)
    }
}

impl fmt::Debug for SealKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ids()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    #[test]
    fn list_names_the_newest_key_first() {
        let keys: SealKeys = format!("2026a={KEY}, 2025={KEY}").parse().unwrap();
        assert_eq!(keys.ids().collect::<Vec<_>>(), ["2026a", "2025"]);
        assert_eq!(keys.first().unwrap().id, "2026a");
        assert_eq!(format!("{keys:?}"), r#"["2026a", "2025"]"#);
        assert!(SealKeys::default().is_empty() && !keys.is_empty());
    }

    #[test]
    fn invalid_entry_is_rejected_without_its_text() {
        for (text, entry, reason) in [
            (String::new(), 1, "form"),
            ("a".to_owned(), 1, "form"),
            (format!("={KEY}"), 1, "id"),
            (format!("a b={KEY}"), 1, "id"),
            (format!("{}={KEY}", "x".repeat(33)), 1, "id"),
            (format!("a={KEY},b=canary!"), 2, "base64"),
            ("a=AAAA".to_owned(), 1, "32 bytes"),
            (format!("a={KEY},a={KEY}"), 2, "earlier"),
            (format!("a={KEY},"), 2, "form"),
        ] {
            let error = text.parse::<SealKeys>().unwrap_err();
            assert_eq!(error.entry, entry, "{text}");
            assert!(error.reason.contains(reason), "{text}: {error}");
            assert!(!error.to_string().contains("canary"));
        }
    }
}
