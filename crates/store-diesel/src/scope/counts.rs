//! How much an organization has and has begun: a caller learns of its own organization alone.

use diesel::{
    dsl::{auto_type, sql},
    expression::SqlLiteral,
    prelude::*,
    sql_types::Bool,
};

use crate::{
    schema::{link_attempts, sessions, usage},
    scope::{ExpectedRowVersion, Flag, ScopeParams, ScopedSessionId, flag},
};

diesel::define_sql_function! {
    /// How many bytes a text has.
    fn octet_length(text: diesel::sql_types::Text) -> diesel::sql_types::Integer;
}

// For callers.

/// How much the organization has of these stocks. A reach is about sessions; what may be kept is counted
/// over all of them.
#[auto_type(no_type_alias)]
pub(crate) fn usage_of<'a>(scope: &'a ScopeParams, stocks: &'a [&'static str]) -> _ {
    let organization: &'a str = scope.organization.as_str();
    usage::table.filter(usage::organization.eq(organization)).filter(usage::stock.eq_any(stocks))
}

/// How much the organization has of one stock.
#[auto_type(no_type_alias)]
pub(crate) fn usage_of_one<'a>(scope: &'a ScopeParams, stock: &'static str) -> _ {
    let organization: &'a str = scope.organization.as_str();
    usage::table.filter(usage::organization.eq(organization)).filter(usage::stock.eq(stock))
}

/// Those of these sessions that are the caller's.
#[auto_type(no_type_alias)]
pub(crate) fn sessions_among<'a>(scope: &'a ScopeParams, ids: &'a [String]) -> _ {
    let organization: &'a str = scope.organization.as_str();
    let only: &'a [String] = scope.only.as_slice();
    let everything: Flag = flag(scope.everything);
    sessions::table
        .filter(sessions::organization.eq(organization))
        .filter(sessions::id.eq_any(ids))
        .filter(everything.or(sessions::id.eq_any(only)))
}

/// One session, if nobody has written or woken it, and its metadata has no fewer bytes than this; without
/// a number, however many it has.
#[auto_type(no_type_alias)]
pub(crate) fn session_at_with_metadata<'a>(
    scoped_id: &'a ScopedSessionId,
    expected: ExpectedRowVersion,
    metadata: Option<i32>,
) -> _ {
    let organization: &'a str = scoped_id.organization.as_str();
    let id: &'a str = scoped_id.id.as_str();
    let in_reach: Flag = flag(scoped_id.in_reach);
    let version: i64 = expected.version;
    let due: Option<i64> = expected.due;
    let never: Flag = flag(expected.due.is_none());
    let any: Flag = flag(metadata.is_none());
    let least: i32 = metadata.unwrap_or_default();
    let length: octet_length<sessions::metadata> = octet_length(sessions::metadata);
    sessions::table
        .filter(sessions::organization.eq(organization))
        .filter(sessions::id.eq(id))
        .filter(in_reach)
        .filter(sessions::version.eq(version))
        .filter(sessions::due.eq(due).or(sessions::due.is_null().and(never).nullable()))
        .filter(any.or(length.ge(least)))
}

/// When attempts at linking a session were begun, of those that count, newest first.
#[auto_type(no_type_alias)]
pub(crate) fn attempts_of_session<'a>(
    scope: &'a ScopeParams,
    session: &'a str,
    since: i64,
    until: i64,
) -> _ {
    let organization: &'a str = scope.organization.as_str();
    link_attempts::table
        .filter(link_attempts::organization.eq(organization))
        .filter(link_attempts::session.eq(session))
        .filter(link_attempts::at.gt(since))
        .filter(link_attempts::at.le(until))
        .order(link_attempts::at.desc())
}

/// The same of a phone, whatever the session. A phone is known by its digest.
#[auto_type(no_type_alias)]
pub(crate) fn attempts_of_phone<'a>(
    scope: &'a ScopeParams,
    phone: &'a [u8],
    since: i64,
    until: i64,
) -> _ {
    let organization: &'a str = scope.organization.as_str();
    link_attempts::table
        .filter(link_attempts::organization.eq(organization))
        .filter(link_attempts::phone.eq(phone))
        .filter(link_attempts::at.gt(since))
        .filter(link_attempts::at.le(until))
        .order(link_attempts::at.desc())
}

/// The same of the whole organization.
#[auto_type(no_type_alias)]
pub(crate) fn attempts_of_organization<'a>(scope: &'a ScopeParams, since: i64, until: i64) -> _ {
    let organization: &'a str = scope.organization.as_str();
    link_attempts::table
        .filter(link_attempts::organization.eq(organization))
        .filter(link_attempts::at.gt(since))
        .filter(link_attempts::at.le(until))
        .order(link_attempts::at.desc())
}

// For berth's own work.

/// What opens the index over all organizations' attempts; it is true of each.
const ALL_LINK_ATTEMPTS: &str = "epoch >= 0";

/// The attempts at linking that were begun no later than this.
#[auto_type(no_type_alias)]
pub(crate) fn old_attempts(at: i64) -> _ {
    let all: SqlLiteral<Bool> = sql::<Bool>(ALL_LINK_ATTEMPTS);
    link_attempts::table.filter(link_attempts::at.le(at)).filter(all)
}
