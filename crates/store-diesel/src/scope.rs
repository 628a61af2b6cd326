//! Which rows a statement can touch: only this file and its parts name an organization-owned table in a
//! filter.
//!
//! The first half serves callers. Every fragment there takes an [`ScopeParams`], made of a scope and of
//! nothing else, and puts its organization and its reach into the `WHERE`; so a foreign row, a hidden
//! one and a missing one are the same miss. The second half serves berth's own work, across
//! organizations, and no caller-facing store uses it.
//!
//! Decision: ADR 0012.

use diesel::{
    dsl::{AsExprOf, auto_type},
    prelude::*,
    sql_types::Bool,
};

use crate::{
    schema::{api_keys, events, receipts, retirements, sessions},
    scope::{
        keyset::KeysetBefore,
        session_keys::{InSessionKeys, SessionKeys},
    },
};

pub(crate) mod counts;
pub(crate) mod keyset;
pub(crate) mod parameters;
#[cfg(test)]
mod plan_tests;
pub(crate) mod round_robin;
pub(crate) mod session_keys;
pub(crate) mod session_lists;

pub(crate) use self::{
    keyset::KeysetPosition,
    parameters::{ExpectedRowVersion, ScopeParams, ScopedSessionId},
};

/// A yes or no that is decided before the statement, and is a part of it all the same.
type Flag = AsExprOf<bool, Bool>;

fn flag(yes: bool) -> Flag {
    yes.into_sql::<Bool>()
}

// For callers.

/// One session. Out of reach, the statement runs all the same and finds nothing.
#[auto_type(no_type_alias)]
pub(crate) fn session<'a>(scoped_id: &'a ScopedSessionId) -> _ {
    let organization: &'a str = scoped_id.organization.as_str();
    let id: &'a str = scoped_id.id.as_str();
    let in_reach: Flag = flag(scoped_id.in_reach);
    sessions::table
        .filter(sessions::organization.eq(organization))
        .filter(sessions::id.eq(id))
        .filter(in_reach)
}

/// The sessions that several look-ups ask for, each within its own scope.
#[auto_type(no_type_alias)]
pub(crate) fn sessions_by_keys<'a>(keys: &'a SessionKeys<'a>) -> _ {
    let one_of: InSessionKeys<'a> = InSessionKeys(keys);
    sessions::table.filter(one_of)
}

/// One session, if nobody has written or woken it.
#[auto_type(no_type_alias)]
pub(crate) fn session_at<'a>(scoped_id: &'a ScopedSessionId, expected: ExpectedRowVersion) -> _ {
    let organization: &'a str = scoped_id.organization.as_str();
    let id: &'a str = scoped_id.id.as_str();
    let in_reach: Flag = flag(scoped_id.in_reach);
    let version: i64 = expected.version;
    let due: Option<i64> = expected.due;
    // Nothing equals nothing here, which in SQL it does not.
    let never: Flag = flag(expected.due.is_none());
    sessions::table
        .filter(sessions::organization.eq(organization))
        .filter(sessions::id.eq(id))
        .filter(in_reach)
        .filter(sessions::version.eq(version))
        .filter(sessions::due.eq(due).or(sessions::due.is_null().and(never).nullable()))
}

/// The events of one session. Out of reach, the statement runs all the same and finds nothing.
#[auto_type(no_type_alias)]
pub(crate) fn events_of_session<'a>(scoped_id: &'a ScopedSessionId) -> _ {
    let organization: &'a str = scoped_id.organization.as_str();
    let id: &'a str = scoped_id.id.as_str();
    let in_reach: Flag = flag(scoped_id.in_reach);
    events::table
        .filter(events::organization.eq(organization))
        .filter(events::session.eq(id))
        .filter(in_reach)
}

/// The events after one, oldest first: ids sort by birth. A reach is about sessions and hides no
/// event that tells of none.
#[auto_type(no_type_alias)]
pub(crate) fn events_after<'a>(scope: &'a ScopeParams, id: &'a str) -> _ {
    let organization: &'a str = scope.organization.as_str();
    let only: &'a [String] = scope.only.as_slice();
    let everything: Flag = flag(scope.everything);
    events::table
        .filter(events::organization.eq(organization))
        .filter(everything.or(events::session.is_null()).or(events::session.eq_any(only)))
        .filter(events::id.gt(id))
        .order(events::id.asc())
}

/// The events before one, newest first. As above, a reach hides no event that tells of no session.
#[auto_type(no_type_alias)]
pub(crate) fn event_page<'a>(scope: &'a ScopeParams, before: &'a str) -> _ {
    let organization: &'a str = scope.organization.as_str();
    let only: &'a [String] = scope.only.as_slice();
    let everything: Flag = flag(scope.everything);
    events::table
        .filter(events::organization.eq(organization))
        .filter(everything.or(events::session.is_null()).or(events::session.eq_any(only)))
        .filter(events::id.lt(before))
        .order(events::id.desc())
}

/// The organization's keys that were not revoked, after a place in the list, newest first. A reach is
/// about sessions and hides no key.
#[auto_type(no_type_alias)]
pub(crate) fn key_page<'a>(scope: &'a ScopeParams, after: &'a KeysetPosition) -> _ {
    let organization: &'a str = scope.organization.as_str();
    let follows: KeysetBefore<'a, api_keys::created_at, api_keys::id> =
        after.before(api_keys::created_at, api_keys::id);
    api_keys::table
        .filter(api_keys::organization.eq(organization))
        .filter(api_keys::revoked_at.is_null())
        .filter(follows)
        .order((api_keys::created_at.desc(), api_keys::id.desc()))
}

/// One of the organization's keys, if it was not revoked.
#[auto_type(no_type_alias)]
pub(crate) fn live_key<'a>(scope: &'a ScopeParams, id: &'a str) -> _ {
    let organization: &'a str = scope.organization.as_str();
    api_keys::table
        .filter(api_keys::organization.eq(organization))
        .filter(api_keys::id.eq(id))
        .filter(api_keys::revoked_at.is_null())
}

/// What is kept in a slot, unless it has expired. A reach is about sessions; slots are told apart by
/// credential.
#[auto_type(no_type_alias)]
pub(crate) fn idempotency_record<'a>(scope: &'a ScopeParams, key_hash: &'a [u8], now: i64) -> _ {
    let organization: &'a str = scope.organization.as_str();
    receipts::table
        .filter(receipts::organization.eq(organization))
        .filter(receipts::slot.eq(key_hash))
        .filter(receipts::expires_at.gt(now))
}

/// What was kept in a slot, and has expired.
#[auto_type(no_type_alias)]
pub(crate) fn expired_idempotency_record<'a>(
    scope: &'a ScopeParams,
    key_hash: &'a [u8],
    now: i64,
) -> _ {
    let organization: &'a str = scope.organization.as_str();
    receipts::table
        .filter(receipts::organization.eq(organization))
        .filter(receipts::slot.eq(key_hash))
        .filter(receipts::expires_at.le(now))
}

/// What is kept in a slot of just this request.
#[auto_type(no_type_alias)]
pub(crate) fn idempotency_record_of_request<'a>(
    scope: &'a ScopeParams,
    key_hash: &'a [u8],
    request: &'a [u8],
) -> _ {
    let organization: &'a str = scope.organization.as_str();
    receipts::table
        .filter(receipts::organization.eq(organization))
        .filter(receipts::slot.eq(key_hash))
        .filter(receipts::request.eq(request))
}

// For berth's own work.

/// A session, whosever it is.
#[auto_type(no_type_alias)]
pub(crate) fn any_session<'a>(id: &'a str) -> _ {
    sessions::table.filter(sessions::id.eq(id))
}

/// These sessions, whosever they are.
#[auto_type(no_type_alias)]
pub(crate) fn any_of_sessions<'a>(ids: &'a [String]) -> _ {
    sessions::table.filter(sessions::id.eq_any(ids))
}

/// A session, whosever it is, if nobody has written or woken it.
#[auto_type(no_type_alias)]
pub(crate) fn any_session_at<'a>(id: &'a str, expected: ExpectedRowVersion) -> _ {
    let version: i64 = expected.version;
    let due: Option<i64> = expected.due;
    let never: Flag = flag(expected.due.is_none());
    sessions::table
        .filter(sessions::id.eq(id))
        .filter(sessions::version.eq(version))
        .filter(sessions::due.eq(due).or(sessions::due.is_null().and(never).nullable()))
}

/// The sessions whose time has come, earliest first.
#[auto_type(no_type_alias)]
pub(crate) fn due_sessions(now: i64) -> _ {
    sessions::table.filter(sessions::due.le(now)).order((sessions::due.asc(), sessions::id.asc()))
}

/// Those of these sessions whose time has come, still.
#[auto_type(no_type_alias)]
pub(crate) fn still_due_sessions<'a>(ids: &'a [String], now: i64) -> _ {
    sessions::table.filter(sessions::id.eq_any(ids)).filter(sessions::due.le(now))
}

/// Those of these sessions whose time has not come.
#[auto_type(no_type_alias)]
pub(crate) fn idle_sessions<'a>(ids: &'a [String], now: i64) -> _ {
    sessions::table
        .filter(sessions::id.eq_any(ids))
        .filter(sessions::due.is_null().or(sessions::due.gt(now)))
}

/// The node's sessions whose time has not come.
#[auto_type(no_type_alias)]
pub(crate) fn idle_sessions_of_node<'a>(gateway: &'a str, now: i64) -> _ {
    sessions::table
        .filter(sessions::gateway.eq(gateway))
        .filter(sessions::due.is_null().or(sessions::due.gt(now)))
}

/// The node's sessions.
#[auto_type(no_type_alias)]
pub(crate) fn sessions_of_node<'a>(gateway: &'a str) -> _ {
    sessions::table.filter(sessions::gateway.eq(gateway)).order(sessions::id.asc())
}

/// The sessions that will want to be looked at.
#[auto_type(no_type_alias)]
pub(crate) fn sessions_with_due_time() -> _ {
    sessions::table.filter(sessions::due.is_not_null())
}

/// All retirements.
pub(crate) fn all_cleanups() -> retirements::table {
    retirements::table
}

/// A retirement.
#[auto_type(no_type_alias)]
pub(crate) fn cleanup<'a>(session: &'a str) -> _ {
    retirements::table.filter(retirements::session.eq(session))
}

/// The retirements whose time has come, earliest first.
#[auto_type(no_type_alias)]
pub(crate) fn due_cleanups(now: i64) -> _ {
    retirements::table
        .filter(retirements::due.le(now))
        .order((retirements::due.asc(), retirements::session.asc()))
}

/// Those of these retirements whose time has come, still.
#[auto_type(no_type_alias)]
pub(crate) fn still_due_cleanups<'a>(sessions: &'a [String], now: i64) -> _ {
    retirements::table
        .filter(retirements::session.eq_any(sessions))
        .filter(retirements::due.le(now))
}

/// The node's retirements whose time has not come.
#[auto_type(no_type_alias)]
pub(crate) fn idle_cleanups_of_node<'a>(gateway: &'a str, now: i64) -> _ {
    retirements::table.filter(retirements::gateway.eq(gateway)).filter(retirements::due.gt(now))
}

/// The node's retirements.
#[auto_type(no_type_alias)]
pub(crate) fn cleanups_of_node<'a>(gateway: &'a str) -> _ {
    retirements::table.filter(retirements::gateway.eq(gateway)).order(retirements::session.asc())
}

/// The receipts that have expired.
#[auto_type(no_type_alias)]
pub(crate) fn expired_idempotency_records(now: i64) -> _ {
    receipts::table.filter(receipts::expires_at.le(now))
}

/// The keys that were revoked before this.
#[auto_type(no_type_alias)]
pub(crate) fn keys_revoked_before(at: i64) -> _ {
    api_keys::table.filter(api_keys::revoked_at.lt(at))
}

/// The keys that expired before this.
#[auto_type(no_type_alias)]
pub(crate) fn keys_expired_before(at: i64) -> _ {
    api_keys::table.filter(api_keys::expires_at.lt(at))
}

/// Those of these keys that have ended before this.
#[auto_type(no_type_alias)]
pub(crate) fn ended_keys<'a>(ids: &'a [String], at: i64) -> _ {
    api_keys::table
        .filter(api_keys::id.eq_any(ids))
        .filter(api_keys::revoked_at.lt(at).or(api_keys::expires_at.lt(at)))
}

/// An event, whosever it is.
#[auto_type(no_type_alias)]
pub(crate) fn any_event<'a>(organization: &'a str, id: &'a str) -> _ {
    events::table.filter(events::organization.eq(organization)).filter(events::id.eq(id))
}

/// Events with codes after a place in their order, up to a time, oldest first. Parameters: the place's time
/// and name, the time, how many.
pub(crate) const EVENTS_WITH_CODES: &str = "SELECT organization, id, at, payload FROM events
    WHERE name IN ('auth.qr', 'auth.code') AND (at, id) > ($1, $2) AND at <= $3
    ORDER BY at, id LIMIT $4";

/// A good key by its digest, before it is known who is asking. Its name is not part of the question,
/// for by that a key would be found that is not good.
#[auto_type(no_type_alias)]
pub(crate) fn valid_key<'a>(digest: &'a [u8], now: i64) -> _ {
    api_keys::table.filter(api_keys::digest.eq(digest)).filter(api_keys::good_until.gt(now))
}

/// A key that was last used before this.
#[auto_type(no_type_alias)]
pub(crate) fn key_last_used_before<'a>(id: &'a str, at: i64) -> _ {
    api_keys::table
        .filter(api_keys::id.eq(id))
        .filter(api_keys::last_used_at.is_null().or(api_keys::last_used_at.lt(at)))
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    /// Elsewhere, owned tables are only inserted into, and every other statement starts from a
    /// fragment of this file.
    #[test]
    fn filters_on_owned_tables_stand_only_in_scope() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files = 0;
        for entry in fs::read_dir(folder).expect("the sources").flatten() {
            let path = entry.path();
            let name = path.display();
            if path.is_dir() || path.ends_with("scope.rs") {
                continue;
            }
            let text: String =
                fs::read_to_string(&path).expect("a source file").split_whitespace().collect();
            for table in [
                "sessions",
                "retirements",
                "events",
                "api_keys",
                "receipts",
                "usage",
                "link_attempts",
            ] {
                let all = text.matches(&format!("{table}::table")).count();
                let inserts = text.matches(&format!("insert_into({table}::table)")).count()
                    + text.matches(&format!("insert_into($crate::schema::{table}::table)")).count();
                assert_eq!(all, inserts, "{name} uses {table} past scope.rs");
                assert!(!text.contains(&format!("{table}::organization.eq")), "{name}");
            }
            files += 1;
        }
        assert!(files > 10);
    }
}
