//! What tokens say that a key of a set was found to have signed, so that a token that is shown again
//! costs a digest: not a verification, which is the dearest part of a request by far, nor reading its
//! JSON.
//!
//! Both depend on nothing but the token, the set and this process's settings and never change, so to
//! remember them for ever would be right. What does change (whether the set is still the one to go by,
//! whether the token is in force) is looked at every time. Only what a key of the set has signed is
//! remembered, so nobody but the issuer can fill this memory; it belongs to its set and goes with it.

use std::{
    collections::HashMap,
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::{Caller, Timestamp};
use sha2::{Digest as _, Sha256};

use super::{claims::Times, token::Cause};

/// Tokens a generation.
const REMEMBERED: usize = 4096;

/// What a token is known by: all of it, its signature too.
pub(crate) type Digest = [u8; 32];

/// The digest of a token.
pub(crate) fn digest(token: &str) -> Digest {
    Sha256::digest(token).into()
}

/// What a signed token says.
#[derive(Debug)]
pub(crate) struct Login {
    /// When it is in force, if it says so.
    pub(crate) times: Result<Times, Cause>,
    /// Who shows it, if it is meant for us.
    pub(crate) caller: Result<Caller, Cause>,
}

impl Login {
    /// Who shows it at this moment, give or take the leeway.
    pub(crate) fn caller(&self, now: Timestamp, leeway: Duration) -> Result<Caller, Cause> {
        self.times?.check(now, leeway)?;
        self.caller.clone()
    }
}

/// Tokens of one set, in two generations, so that nothing is ever searched for old ones.
#[derive(Default)]
pub(crate) struct Logins(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    recent: HashMap<Digest, Arc<Login>>,
    older: HashMap<Digest, Arc<Login>>,
}

impl Logins {
    /// What the token says, if it was shown before.
    pub(crate) fn known(&self, token: &Digest) -> Option<Arc<Login>> {
        self.held().known(token)
    }

    /// Remembers what a signed token says.
    pub(crate) fn remember(&self, token: Digest, login: Arc<Login>) {
        self.held().remember(token, login);
    }

    fn held(&self) -> MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn known(&mut self, token: &Digest) -> Option<Arc<Login>> {
        if let Some(login) = self.recent.get(token) {
            return Some(login.clone());
        }
        let login = self.older.remove(token)?;
        self.remember(*token, login.clone());
        Some(login)
    }

    fn remember(&mut self, token: Digest, login: Arc<Login>) {
        if self.recent.len() >= REMEMBERED {
            self.older = mem::take(&mut self.recent);
        }
        self.recent.insert(token, login);
    }
}

impl fmt::Debug for Logins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logins").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_stays_bounded_and_what_is_in_use_stays_in_it() {
        let logins = Logins::default();
        let login = Arc::new(Login { times: Err("no times"), caller: Err("nobody") });
        logins.remember(digest("in use"), login.clone());
        for n in 0..REMEMBERED * 3 {
            logins.remember(digest(&n.to_string()), login.clone());
            assert!(logins.known(&digest("in use")).is_some(), "in use at {n}");
        }
        assert!(logins.known(&digest("0")).is_none(), "forgotten");
        assert!(logins.known(&digest("In use")).is_none(), "another token");
        let held = logins.held();
        assert!(held.recent.len() <= REMEMBERED && held.older.len() <= REMEMBERED);
    }
}
