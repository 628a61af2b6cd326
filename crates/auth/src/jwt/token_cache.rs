//! [`TokenCache`]: the claims of verified tokens, so that a repeated token costs one digest instead
//! of a signature verification (the most expensive part of a request by far) and JSON parsing.
//!
//! Verification and claims depend only on the token, the key set and the configuration, so an entry
//! never becomes wrong. Every request checks what can change: whether the set is still current and
//! whether the token is valid now. Only tokens with a valid signature are cached, so only the
//! issuer can fill the cache. Each key set has its own cache, which is dropped with the set.

use std::{sync::Arc, time::Duration};

use domain::{Caller, LoginClaims, SignIn, Timestamp};
use quick_cache::sync::Cache;
use sha2::{Digest as _, Sha256};

use super::{token::Cause, validity::Validity};

/// Maximum number of tokens of one key set. Further tokens replace tokens that are not in use.
const MAX_TOKENS: usize = 4096;

/// The SHA-256 digest of a whole token, signature included.
pub(super) type TokenDigest = [u8; 32];

/// Returns the digest by which a token is cached.
pub(super) fn digest(token: &str) -> TokenDigest {
    Sha256::digest(token).into()
}

/// The claims of a token with a valid signature.
#[derive(Debug)]
pub(super) struct VerifiedToken {
    pub(super) validity: Result<Validity, Cause>,
    /// The rights that the token states, if the token has the expected issuer and audience.
    pub(super) login: Result<LoginClaims, Cause>,
    /// The caller of these rights.
    pub(super) caller: Result<Caller, Cause>,
}

impl VerifiedToken {
    /// Returns the caller if the token is valid at `now`, with `leeway`.
    pub(super) fn caller(&self, now: Timestamp, leeway: Duration) -> Result<Caller, Cause> {
        self.validity?.check(now, leeway)?;
        self.caller.clone()
    }

    /// Returns the login of a browser session if the token is valid at `now`, with `leeway`.
    pub(super) fn sign_in(&self, now: Timestamp, leeway: Duration) -> Result<SignIn, Cause> {
        let validity = self.validity?;
        validity.check(now, leeway)?;
        Ok(SignIn::of_claims(self.login.clone()?, Some(validity.expires_at())))
    }
}

/// The verified tokens of one key set.
pub(super) type TokenCache = Cache<TokenDigest, Arc<VerifiedToken>>;

/// Returns an empty cache.
pub(super) fn empty() -> TokenCache {
    Cache::new(MAX_TOKENS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_stays_bounded_and_tokens_in_use_stay_cached() {
        let cache = empty();
        let token = Arc::new(VerifiedToken {
            validity: Err("no times"),
            login: Err("no login"),
            caller: Err("no caller"),
        });
        cache.insert(digest("in use"), token.clone());
        for n in 0..MAX_TOKENS * 3 {
            cache.insert(digest(&n.to_string()), token.clone());
            assert!(cache.get(&digest("in use")).is_some(), "in use at {n}");
        }
        assert!(cache.get(&digest("In use")).is_none(), "another token");
        assert!(cache.len() <= MAX_TOKENS);
    }
}
