//! Changes of API keys, as stores write them.

use crate::{api_key::model::ApiKey, id::KeyId, time::Timestamp};

/// A change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "one value exists per write, and a box would add an allocation"
)]
pub enum KeyWrite {
    /// Inserts the key.
    Insert(ApiKey),
    /// Revokes a key that is not revoked.
    Revoke {
        /// The key.
        id: KeyId,
        /// Time of the revocation.
        at: Timestamp,
    },
}
