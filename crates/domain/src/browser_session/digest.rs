//! [`BrowserSessionDigest`]: the name of a browser session in the store.

/// SHA-256 of the secret in the cookie of a browser session. The secret is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BrowserSessionDigest(pub [u8; 32]);
