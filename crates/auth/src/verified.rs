//! Signatures that a key was found to have made, so that a token that is shown again costs a digest and
//! not a verification, which is the dearest part of a request by far.
//!
//! Whether a key made a signature depends on nothing but the three of them and never changes, so to
//! remember it for ever would be right. What does change (whether the key is still in the set, whether
//! the token is in force and meant for us) is looked at every time. Only good ones are remembered, so
//! nobody but the issuer can fill this memory; it belongs to its key and goes with it.

use std::{
    collections::HashSet,
    fmt, mem,
    sync::{Mutex, PoisonError},
};

use jsonwebtoken::Algorithm;
use sha2::{Digest, Sha256};

/// Signatures a generation.
const REMEMBERED: usize = 4096;

/// Signatures of one key, in two generations, so that nothing is ever searched for old ones.
#[derive(Default)]
pub(crate) struct Verified(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    recent: HashSet<[u8; 32]>,
    older: HashSet<[u8; 32]>,
}

impl Verified {
    /// Whether the key made this signature, by memory or else by `verify`.
    pub(crate) fn or_verify(
        &self,
        (message, signature, algorithm): (&str, &str, Algorithm),
        verify: impl FnOnce() -> bool,
    ) -> bool {
        // Neither an algorithm's name nor base64 has a space in it.
        let digest = Sha256::new()
            .chain_update(format!("{algorithm:?} {signature} "))
            .chain_update(message)
            .finalize()
            .into();
        if self.with(|generations| generations.knows(&digest)) {
            return true;
        }
        let good = verify();
        if good {
            self.with(|generations| generations.remember(digest));
        }
        good
    }

    fn with<T>(&self, what: impl FnOnce(&mut Generations) -> T) -> T {
        what(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Generations {
    fn knows(&mut self, digest: &[u8; 32]) -> bool {
        if self.recent.contains(digest) {
            return true;
        }
        let known = self.older.remove(digest);
        if known {
            self.remember(*digest);
        }
        known
    }

    fn remember(&mut self, digest: [u8; 32]) {
        if self.recent.len() >= REMEMBERED {
            self.older = mem::take(&mut self.recent);
        }
        self.recent.insert(digest);
    }
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EDDSA: Algorithm = Algorithm::EdDSA;

    #[test]
    fn what_was_good_is_not_verified_again_and_anything_else_is() {
        let verified = Verified::default();
        assert!(verified.or_verify(("words", "signature", EDDSA), || true));
        assert!(verified.or_verify(("words", "signature", EDDSA), || panic!("known")));
        for other in [
            ("words", "signatura", EDDSA),
            ("word", "signature", EDDSA),
            ("words", "signature", Algorithm::ES256),
            ("signature words", "", EDDSA),
            ("e words", "signatur", EDDSA),
        ] {
            assert!(!verified.or_verify(other, || false), "{other:?}");
            assert!(verified.or_verify(other, || true), "a bad one is not remembered: {other:?}");
        }
    }

    #[test]
    fn memory_stays_bounded_and_what_is_in_use_stays_in_it() {
        let verified = Verified::default();
        assert!(verified.or_verify(("in use", "s", EDDSA), || true));
        for n in 0..REMEMBERED * 3 {
            assert!(verified.or_verify((&n.to_string(), "s", EDDSA), || true));
            assert!(verified.or_verify(("in use", "s", EDDSA), || panic!("in use at {n}")));
        }
        verified.with(|held| {
            assert!(held.recent.len() <= REMEMBERED && held.older.len() <= REMEMBERED);
        });
    }
}
