//! [`FileKey`]: seals files of any length in chunks, such as back-ups.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::ports::BoxError;
use secrecy::zeroize::Zeroizing;
use sha2::{Digest as _, Sha256};

use crate::envelope::{Binding, Cipher, KEY_LENGTH};

/// A key that seals files. `Debug` shows the id only.
pub struct FileKey {
    id: String,
    cipher: Cipher,
}

/// The error for a text that is no key. The message never contains the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a key: 32 bytes as base64 with padding, as `openssl rand -base64 32` prints")]
pub struct InvalidFileKey;

/// The place of a chunk in a file. A chunk opens only at its place in its file.
#[derive(Clone, Copy, Debug)]
pub struct ChunkPosition<'a> {
    /// SHA-256 digest of the head of the file.
    pub head: &'a [u8; 32],
    /// Number of the chunk, from 0.
    pub number: u64,
    /// Whether the chunk is the last one of the file.
    pub is_last: bool,
}

impl ChunkPosition<'_> {
    fn binding(&self) -> Binding {
        let head = self.head.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        let last = if self.is_last { "last" } else { "more" };
        Binding::new("berth file chunk", &[&head, &self.number.to_string(), last])
    }
}

impl FileKey {
    /// Returns the id: the start of a digest of the key, which tells keys apart and reveals none.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Seals a chunk; the result is 28 bytes longer.
    ///
    /// # Errors
    /// When the chunk is too long for the cipher.
    pub fn seal(&self, place: &ChunkPosition<'_>, chunk: &[u8]) -> Result<Vec<u8>, BoxError> {
        self.cipher.encrypt(&place.binding(), chunk)
    }

    /// Opens a chunk.
    ///
    /// # Errors
    /// When the chunk was changed, or belongs to another key, file or place.
    pub fn open(&self, place: &ChunkPosition<'_>, sealed: &[u8]) -> Result<Vec<u8>, BoxError> {
        self.cipher.decrypt(&place.binding(), sealed)
    }
}

impl FromStr for FileKey {
    type Err = InvalidFileKey;

    fn from_str(text: &str) -> Result<Self, InvalidFileKey> {
        let key = STANDARD.decode(text.trim()).map(Zeroizing::new).map_err(|_| InvalidFileKey)?;
        if key.len() != KEY_LENGTH {
            return Err(InvalidFileKey);
        }
        let digest =
            Sha256::new().chain_update(b"berth file key id\0").chain_update(&*key).finalize();
        let id =
            digest.iter().take(8).fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        Ok(Self { id, cipher: Cipher::new(&key).map_err(|_| InvalidFileKey)? })
    }
}

impl fmt::Debug for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FileKey").field(&self.id).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const OTHER: &str = "AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    #[test]
    fn chunk_opens_at_its_place_only() {
        let (one, other): (FileKey, FileKey) = (ONE.parse().unwrap(), OTHER.parse().unwrap());
        let place = ChunkPosition { head: &[1; 32], number: 3, is_last: false };
        let sealed = one.seal(&place, b"text").unwrap();
        assert_eq!(one.open(&place, &sealed).unwrap(), b"text");
        assert!(other.open(&place, &sealed).is_err());
        for wrong in [
            ChunkPosition { head: &[2; 32], ..place },
            ChunkPosition { number: 4, ..place },
            ChunkPosition { is_last: true, ..place },
        ] {
            assert!(one.open(&wrong, &sealed).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn id_tells_keys_apart_and_reveals_none() {
        let key = |text: &str| text.parse::<FileKey>();
        assert_eq!(key(ONE).unwrap().id(), key(&format!("{ONE}\n")).unwrap().id());
        assert_ne!(key(ONE).unwrap().id(), key(OTHER).unwrap().id());
        assert_eq!(key(ONE).unwrap().id().len(), 16);
        for text in ["", "canary", "AAAA"] {
            assert_eq!(key(text).unwrap_err(), InvalidFileKey);
        }
        assert!(!format!("{:?}", key(ONE).unwrap()).contains("AAEC"));
    }
}
