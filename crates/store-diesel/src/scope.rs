//! The `WHERE` fragments: only this file and its submodules filter organization-owned tables. One
//! statement for batches, [`session_writes`](crate::batch::session_writes), repeats the conditions
//! as SQL.
//!
//! The fragments of the first half serve callers. Each takes [`ScopeParams`] or
//! [`ScopedSessionId`], which are built from a scope only, and puts organization and reach into the
//! `WHERE`. So a foreign, a hidden and a missing row are the same miss. The fragments of the second
//! half serve the worker and the operators across organizations; no caller-facing store uses them.
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

pub(crate) mod bound_query;
pub(crate) mod browser_sessions;
pub(crate) mod counts;
pub(crate) mod data_keys;
pub(crate) mod deliveries;
pub(crate) mod erasure;
pub(crate) mod feed;
pub(crate) mod keyset;
pub(crate) mod message_retention;
pub(crate) mod messages;
pub(crate) mod messaging;
pub(crate) mod number_keyset;
pub(crate) mod operator_figures;
pub(crate) mod outbox;
pub(crate) mod parameters;
#[cfg(test)]
mod plan_tests;
pub(crate) mod round_robin;
pub(crate) mod session_keys;
pub(crate) mod session_lists;
pub(crate) mod share_links;
pub(crate) mod webhooks;

pub(crate) use self::{
    keyset::KeysetPosition,
    parameters::{ExpectedRowVersion, ScopeParams, ScopedSessionId},
};

/// A boolean that is decided before the statement and still is a part of the statement.
type Flag = AsExprOf<bool, Bool>;

fn flag(yes: bool) -> Flag {
    yes.into_sql::<Bool>()
}

// Fragments for callers.

/// Selects one session. For a session out of reach the statement runs too, and finds no row.
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

/// Selects the sessions of several lookups, each within its own scope.
#[auto_type(no_type_alias)]
pub(crate) fn sessions_by_keys<'a>(keys: &'a SessionKeys<'a>) -> _ {
    let one_of: InSessionKeys<'a> = InSessionKeys(keys);
    sessions::table.filter(one_of)
}

/// Selects one session if its version and its due time are as expected.
#[auto_type(no_type_alias)]
pub(crate) fn session_at<'a>(scoped_id: &'a ScopedSessionId, expected: ExpectedRowVersion) -> _ {
    let organization: &'a str = scoped_id.organization.as_str();
    let id: &'a str = scoped_id.id.as_str();
    let in_reach: Flag = flag(scoped_id.in_reach);
    let version: i64 = expected.version;
    let due: Option<i64> = expected.due;
    // `NULL = NULL` must match here, and does not in SQL.
    let never: Flag = flag(expected.due.is_none());
    sessions::table
        .filter(sessions::organization.eq(organization))
        .filter(sessions::id.eq(id))
        .filter(in_reach)
        .filter(sessions::version.eq(version))
        .filter(sessions::due.eq(due).or(sessions::due.is_null().and(never).nullable()))
}

/// Returns the highest sequence number of the events of a session, in a statement that selects the
/// session: the scope of that statement holds for the events too.
#[auto_type(no_type_alias)]
pub(crate) fn last_event_sequence() -> _ {
    events::table
        .filter(events::organization.eq(sessions::organization))
        .filter(events::session.eq(sessions::id.nullable()))
        .filter(events::stream.eq("session"))
        .order(events::sequence.desc())
        .select(events::sequence)
        .single_value()
}

/// Selects the events of the audit log before an id, newest first: ids sort by creation time. A reach
/// restricts sessions, so events without a session stay visible.
#[auto_type(no_type_alias)]
pub(crate) fn event_page<'a>(scope: &'a ScopeParams, before: &'a str) -> _ {
    let organization: &'a str = scope.organization.as_str();
    let only: &'a [String] = scope.only.as_slice();
    let everything: Flag = flag(scope.everything);
    events::table
        .filter(events::organization.eq(organization))
        .filter(everything.or(events::session.is_null()).or(events::session.eq_any(only)))
        .filter(events::stream.eq("session"))
        .filter(events::id.lt(before))
        .order(events::id.desc())
}

/// Selects the organization's keys that are not revoked, after a position, newest first. A reach
/// restricts sessions and hides no key.
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

/// Selects one of the organization's keys, unless the key is revoked.
#[auto_type(no_type_alias)]
pub(crate) fn live_key<'a>(scope: &'a ScopeParams, id: &'a str) -> _ {
    let organization: &'a str = scope.organization.as_str();
    api_keys::table
        .filter(api_keys::organization.eq(organization))
        .filter(api_keys::id.eq(id))
        .filter(api_keys::revoked_at.is_null())
}

/// Selects an idempotency record that has not expired. A reach restricts sessions; the key hash
/// already separates credentials.
#[auto_type(no_type_alias)]
pub(crate) fn idempotency_record<'a>(scope: &'a ScopeParams, key_hash: &'a [u8], now: i64) -> _ {
    let organization: &'a str = scope.organization.as_str();
    receipts::table
        .filter(receipts::organization.eq(organization))
        .filter(receipts::slot.eq(key_hash))
        .filter(receipts::expires_at.gt(now))
}

/// Selects an idempotency record that has expired.
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

/// Selects the idempotency record of one request.
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

// Fragments for the worker and for operators, across organizations.

/// Selects the events of a session in any organization: the id of an orphan may have belonged to a
/// deleted session of another one.
#[auto_type(no_type_alias)]
pub(crate) fn any_events_of_session<'a>(session: &'a str) -> _ {
    events::table.filter(events::session.eq(session)).filter(events::stream.eq("session"))
}

/// Selects a session of any organization.
#[auto_type(no_type_alias)]
pub(crate) fn any_session<'a>(id: &'a str) -> _ {
    sessions::table.filter(sessions::id.eq(id))
}

/// Selects sessions of any organization.
#[auto_type(no_type_alias)]
pub(crate) fn any_of_sessions<'a>(ids: &'a [String]) -> _ {
    sessions::table.filter(sessions::id.eq_any(ids))
}

/// Selects a session of any organization if its version and its due time are as expected.
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

/// Selects the due sessions, earliest first.
#[auto_type(no_type_alias)]
pub(crate) fn due_sessions(now: i64) -> _ {
    sessions::table.filter(sessions::due.le(now)).order((sessions::due.asc(), sessions::id.asc()))
}

/// Selects those of the sessions that are still due.
#[auto_type(no_type_alias)]
pub(crate) fn still_due_sessions<'a>(ids: &'a [String], now: i64) -> _ {
    sessions::table.filter(sessions::id.eq_any(ids)).filter(sessions::due.le(now))
}

/// Selects those of the sessions that are not due.
#[auto_type(no_type_alias)]
pub(crate) fn idle_sessions<'a>(ids: &'a [String], now: i64) -> _ {
    sessions::table
        .filter(sessions::id.eq_any(ids))
        .filter(sessions::due.is_null().or(sessions::due.gt(now)))
}

/// Selects the sessions of a node that are not due.
#[auto_type(no_type_alias)]
pub(crate) fn idle_sessions_of_node<'a>(gateway: &'a str, now: i64) -> _ {
    sessions::table
        .filter(sessions::gateway.eq(gateway))
        .filter(sessions::due.is_null().or(sessions::due.gt(now)))
}

/// Selects the sessions of a node.
#[auto_type(no_type_alias)]
pub(crate) fn sessions_of_node<'a>(gateway: &'a str) -> _ {
    sessions::table.filter(sessions::gateway.eq(gateway)).order(sessions::id.asc())
}

/// Selects the sessions with a due time.
#[auto_type(no_type_alias)]
pub(crate) fn sessions_with_due_time() -> _ {
    sessions::table.filter(sessions::due.is_not_null())
}

/// Selects all cleanups.
pub(crate) fn all_cleanups() -> retirements::table {
    retirements::table
}

/// Selects the cleanup of a session.
#[auto_type(no_type_alias)]
pub(crate) fn cleanup<'a>(session: &'a str) -> _ {
    retirements::table.filter(retirements::session.eq(session))
}

/// Selects the due cleanups, earliest first.
#[auto_type(no_type_alias)]
pub(crate) fn due_cleanups(now: i64) -> _ {
    retirements::table
        .filter(retirements::due.le(now))
        .order((retirements::due.asc(), retirements::session.asc()))
}

/// Selects those of the cleanups that are still due.
#[auto_type(no_type_alias)]
pub(crate) fn still_due_cleanups<'a>(sessions: &'a [String], now: i64) -> _ {
    retirements::table
        .filter(retirements::session.eq_any(sessions))
        .filter(retirements::due.le(now))
}

/// Selects the cleanups of a node that are not due.
#[auto_type(no_type_alias)]
pub(crate) fn idle_cleanups_of_node<'a>(gateway: &'a str, now: i64) -> _ {
    retirements::table.filter(retirements::gateway.eq(gateway)).filter(retirements::due.gt(now))
}

/// Selects the cleanups of a node.
#[auto_type(no_type_alias)]
pub(crate) fn cleanups_of_node<'a>(gateway: &'a str) -> _ {
    retirements::table.filter(retirements::gateway.eq(gateway)).order(retirements::session.asc())
}

/// Selects the expired idempotency records.
#[auto_type(no_type_alias)]
pub(crate) fn expired_idempotency_records(now: i64) -> _ {
    receipts::table.filter(receipts::expires_at.le(now))
}

/// Selects the keys that were revoked before a time.
#[auto_type(no_type_alias)]
pub(crate) fn keys_revoked_before(at: i64) -> _ {
    api_keys::table.filter(api_keys::revoked_at.lt(at))
}

/// Selects the keys that expired before a time.
#[auto_type(no_type_alias)]
pub(crate) fn keys_expired_before(at: i64) -> _ {
    api_keys::table.filter(api_keys::expires_at.lt(at))
}

/// Selects those of the keys that were revoked or expired before a time.
#[auto_type(no_type_alias)]
pub(crate) fn ended_keys<'a>(ids: &'a [String], at: i64) -> _ {
    api_keys::table
        .filter(api_keys::id.eq_any(ids))
        .filter(api_keys::revoked_at.lt(at).or(api_keys::expires_at.lt(at)))
}

/// Selects an event of any organization.
#[auto_type(no_type_alias)]
pub(crate) fn any_event<'a>(organization: &'a str, id: &'a str) -> _ {
    events::table.filter(events::organization.eq(organization)).filter(events::id.eq(id))
}

/// Events with codes after a position and up to a time, oldest first. Parameters: time and id of
/// the position, the time, the number of rows.
pub(crate) const EVENTS_WITH_CODES: &str = "SELECT organization, id, at, name, payload FROM events
    WHERE name IN ('auth.qr', 'auth.code') AND (at, id) > ($1, $2) AND at <= $3
    ORDER BY at, id LIMIT $4";

/// Selects a valid key by its digest, before the caller is known. The id is not a condition: a
/// lookup by id would also find keys that are not valid.
#[auto_type(no_type_alias)]
pub(crate) fn valid_key<'a>(digest: &'a [u8], now: i64) -> _ {
    api_keys::table.filter(api_keys::digest.eq(digest)).filter(api_keys::good_until.gt(now))
}

/// Selects those of the keys that are valid, by their ids. For callers that have proved the possession
/// of their key.
#[auto_type(no_type_alias)]
pub(crate) fn valid_keys_by_id<'a>(ids: &'a [String], now: i64) -> _ {
    api_keys::table.filter(api_keys::id.eq_any(ids)).filter(api_keys::good_until.gt(now))
}

/// Selects a key that was last used before a time.
#[auto_type(no_type_alias)]
pub(crate) fn key_last_used_before<'a>(id: &'a str, at: i64) -> _ {
    api_keys::table
        .filter(api_keys::id.eq(id))
        .filter(api_keys::last_used_at.is_null().or(api_keys::last_used_at.lt(at)))
}

#[cfg(test)]
mod tests;
