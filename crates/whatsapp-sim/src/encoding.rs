//! The encoding of bytes in the state file.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// Bytes that are serialized as base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Base64Text<T>(pub(crate) T);

impl<T: AsRef<[u8]>> Serialize for Base64Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        BASE64_STANDARD.encode(&self.0).serialize(serializer)
    }
}

impl<'de, T: TryFrom<Vec<u8>>> Deserialize<'de> for Base64Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = BASE64_STANDARD.decode(text).map_err(D::Error::custom)?;
        T::try_from(bytes).map(Self).map_err(|_| D::Error::custom("wrong number of bytes"))
    }
}
