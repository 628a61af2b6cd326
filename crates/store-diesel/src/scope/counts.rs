//! Fragments for quotas: stored amounts, metadata size and link attempts of an organization.

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
    /// Returns the number of bytes of a text.
    fn octet_length(text: diesel::sql_types::Text) -> diesel::sql_types::Integer;
}

// Fragments for callers.

/// Selects the stored amounts of several resources. A reach restricts sessions; quotas count all
/// sessions of the organization.
#[auto_type(no_type_alias)]
pub(crate) fn usage_of<'a>(scope: &'a ScopeParams, stocks: &'a [&'static str]) -> _ {
    let organization: &'a str = scope.organization.as_str();
    usage::table.filter(usage::organization.eq(organization)).filter(usage::stock.eq_any(stocks))
}

/// Selects the stored amount of one resource.
#[auto_type(no_type_alias)]
pub(crate) fn usage_of_one<'a>(scope: &'a ScopeParams, stock: &'static str) -> _ {
    let organization: &'a str = scope.organization.as_str();
    usage::table.filter(usage::organization.eq(organization)).filter(usage::stock.eq(stock))
}

/// Selects those of the sessions that are in the caller's scope.
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

/// Selects one session if its version and its due time are as expected, and its metadata has at
/// least the given number of bytes; without a number, of any size.
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

/// Selects the counted link attempts of a session, newest first. `since` is excluded, `until`
/// included.
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

/// Selects the counted link attempts of a phone over all sessions of the organization. The digest
/// identifies the phone.
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

/// Selects the counted link attempts of the organization.
#[auto_type(no_type_alias)]
pub(crate) fn attempts_of_organization<'a>(scope: &'a ScopeParams, since: i64, until: i64) -> _ {
    let organization: &'a str = scope.organization.as_str();
    link_attempts::table
        .filter(link_attempts::organization.eq(organization))
        .filter(link_attempts::at.gt(since))
        .filter(link_attempts::at.le(until))
        .order(link_attempts::at.desc())
}

// Fragments for the worker, across organizations.

/// The condition of the index over the attempts of all organizations; true for every row.
const ALL_LINK_ATTEMPTS: &str = "epoch >= 0";

/// Selects the link attempts up to a time.
#[auto_type(no_type_alias)]
pub(crate) fn old_attempts(at: i64) -> _ {
    let all: SqlLiteral<Bool> = sql::<Bool>(ALL_LINK_ATTEMPTS);
    link_attempts::table.filter(link_attempts::at.le(at)).filter(all)
}
