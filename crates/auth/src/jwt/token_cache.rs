//! [`TokenCache`]: the claims of verified tokens, so that a repeated token costs one digest instead
//! of a signature verification (the most expensive part of a request by far) and JSON parsing.
//!
//! Verification and claims depend only on the token, the key set and the configuration, so an entry
//! never becomes wrong. Every request checks what can change: whether the set is still current and
//! whether the token is valid now. Only tokens with a valid signature are cached, so only the
//! issuer can fill the cache. Each key set has its own cache, which is dropped with the set.

use std::{
    collections::HashMap,
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::{Caller, Timestamp};
use sha2::{Digest as _, Sha256};

use super::{token::Cause, validity::Validity};

/// Tokens in one generation.
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
    /// The caller, if the token has the expected issuer and audience.
    pub(super) caller: Result<Caller, Cause>,
}

impl VerifiedToken {
    /// Returns the caller if the token is valid at `now`, with `leeway`.
    pub(super) fn caller(&self, now: Timestamp, leeway: Duration) -> Result<Caller, Cause> {
        self.validity?.check(now, leeway)?;
        self.caller.clone()
    }
}

/// The verified tokens of one key set, in two generations. Eviction drops a whole generation, so
/// that no write has to search for old entries.
#[derive(Default)]
pub(super) struct TokenCache(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    recent: HashMap<TokenDigest, Arc<VerifiedToken>>,
    older: HashMap<TokenDigest, Arc<VerifiedToken>>,
}

impl TokenCache {
    pub(super) fn get(&self, digest: &TokenDigest) -> Option<Arc<VerifiedToken>> {
        self.lock().get(digest)
    }

    pub(super) fn insert(&self, digest: TokenDigest, token: Arc<VerifiedToken>) {
        self.lock().insert(digest, token);
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn get(&mut self, digest: &TokenDigest) -> Option<Arc<VerifiedToken>> {
        if let Some(token) = self.recent.get(digest) {
            return Some(token.clone());
        }
        let token = self.older.remove(digest)?;
        self.insert(*digest, token.clone());
        Some(token)
    }

    fn insert(&mut self, digest: TokenDigest, token: Arc<VerifiedToken>) {
        if self.recent.len() >= MAX_TOKENS {
            self.older = mem::take(&mut self.recent);
        }
        self.recent.insert(digest, token);
    }
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_stays_bounded_and_tokens_in_use_stay_cached() {
        let cache = TokenCache::default();
        let token = Arc::new(VerifiedToken { validity: Err("no times"), caller: Err("no caller") });
        cache.insert(digest("in use"), token.clone());
        for n in 0..MAX_TOKENS * 3 {
            cache.insert(digest(&n.to_string()), token.clone());
            assert!(cache.get(&digest("in use")).is_some(), "in use at {n}");
        }
        assert!(cache.get(&digest("0")).is_none(), "evicted");
        assert!(cache.get(&digest("In use")).is_none(), "another token");
        let generations = cache.lock();
        assert!(generations.recent.len() <= MAX_TOKENS && generations.older.len() <= MAX_TOKENS);
    }
}
