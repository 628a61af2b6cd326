//! The secrets in cookies: 32 random bytes, of which the service stores the digest.

use aws_lc_rs::rand;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

use crate::response::problem::{Problem, Result};

const BYTES: usize = 32;

/// Returns a new secret as text, with its digest.
///
/// # Errors
/// The random source failed.
pub(crate) fn generate() -> Result<(String, [u8; 32])> {
    let mut bytes = [0; BYTES];
    rand::fill(&mut bytes).map_err(|_| Problem::internal("the random source failed"))?;
    Ok((URL_SAFE_NO_PAD.encode(bytes), Sha256::digest(bytes).into()))
}

/// Returns the digest of a secret; `None` for a text that is no secret.
pub(crate) fn digest(text: &str) -> Option<[u8; 32]> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| bytes.len() == BYTES)?;
    Some(Sha256::digest(bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_is_found_by_its_digest() {
        let ((text, stored), (other, _)) = (generate().unwrap(), generate().unwrap());
        assert_eq!(digest(&text), Some(stored));
        assert_eq!(text.len(), 43);
        assert_ne!(text, other);
        assert_ne!(digest(&other), Some(stored));
        for text in ["", "a", &text[1..], &format!("{text}="), &"ü".repeat(21)] {
            assert_eq!(digest(text), None, "{text}");
        }
    }
}
