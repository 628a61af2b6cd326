//! Fragments of browser sessions. A session is found by the digest of the secret that only its browser has,
//! before the organization is known.

use diesel::{dsl::auto_type, prelude::*};

use crate::schema::browser_sessions;

/// Selects the session with this digest if it has not ended.
#[auto_type(no_type_alias)]
pub(crate) fn current_browser_session<'a>(digest: &'a [u8], now: i64) -> _ {
    browser_sessions::table
        .filter(browser_sessions::digest.eq(digest))
        .filter(browser_sessions::expires_at.gt(now))
}

/// Selects those of the sessions that have not ended.
#[auto_type(no_type_alias)]
pub(crate) fn current_browser_sessions<'a>(digests: &'a [Vec<u8>], now: i64) -> _ {
    browser_sessions::table
        .filter(browser_sessions::digest.eq_any(digests))
        .filter(browser_sessions::expires_at.gt(now))
}

/// Selects the session with this digest.
#[auto_type(no_type_alias)]
pub(crate) fn any_browser_session<'a>(digest: &'a [u8]) -> _ {
    browser_sessions::table.filter(browser_sessions::digest.eq(digest))
}

/// Selects the sessions that ended at this time or before.
#[auto_type(no_type_alias)]
pub(crate) fn ended_browser_sessions(until: i64) -> _ {
    browser_sessions::table.filter(browser_sessions::expires_at.le(until))
}

/// Removes the sessions of a holder beyond those that were used last. Parameters: the holder, and the
/// number of sessions that stay.
pub(crate) const REMOVE_SURPLUS: &str = "DELETE FROM browser_sessions WHERE holder = $1
    AND digest IN (SELECT digest FROM browser_sessions WHERE holder = $1
        ORDER BY last_used_at DESC, created_at DESC, digest DESC LIMIT 1000 OFFSET $2)";
