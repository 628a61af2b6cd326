//! How much an organization has and has begun: a caller learns of its own organization alone.

use diesel::{
    dsl::{auto_type, sql},
    expression::SqlLiteral,
    prelude::*,
    sql_types::Bool,
};

use super::{Flag, Owned, Owner, Standing, flag};
use crate::schema::{link_attempts, sessions, usage};

diesel::define_sql_function! {
    /// How many bytes a text has.
    fn octet_length(text: diesel::sql_types::Text) -> diesel::sql_types::Integer;
}

// For callers.

/// How much the organization has of these stocks. A reach is about sessions; what may be kept is counted
/// over all of them.
#[auto_type(no_type_alias)]
pub(crate) fn usage_of<'a>(owner: &'a Owner, stocks: &'a [&'static str]) -> _ {
    let organization: &'a str = owner.organization.as_str();
    usage::table.filter(usage::organization.eq(organization)).filter(usage::stock.eq_any(stocks))
}

/// How much the organization has of one stock.
#[auto_type(no_type_alias)]
pub(crate) fn usage_of_one<'a>(owner: &'a Owner, stock: &'static str) -> _ {
    let organization: &'a str = owner.organization.as_str();
    usage::table.filter(usage::organization.eq(organization)).filter(usage::stock.eq(stock))
}

/// Those of these sessions that are the caller's.
#[auto_type(no_type_alias)]
pub(crate) fn sessions_among<'a>(owner: &'a Owner, ids: &'a [String]) -> _ {
    let organization: &'a str = owner.organization.as_str();
    let only: &'a [String] = owner.only.as_slice();
    let everything: Flag = flag(owner.everything);
    sessions::table
        .filter(sessions::organization.eq(organization))
        .filter(sessions::id.eq_any(ids))
        .filter(everything.or(sessions::id.eq_any(only)))
}

/// One session, if nobody has written or woken it, and its metadata has no fewer bytes than this; without
/// a number, however many it has.
#[auto_type(no_type_alias)]
pub(crate) fn session_still_with<'a>(
    owned: &'a Owned,
    standing: Standing,
    metadata: Option<i32>,
) -> _ {
    let organization: &'a str = owned.organization.as_str();
    let id: &'a str = owned.id.as_str();
    let within: Flag = flag(owned.within);
    let version: i64 = standing.version;
    let due: Option<i64> = standing.due;
    let never: Flag = flag(standing.due.is_none());
    let any: Flag = flag(metadata.is_none());
    let least: i32 = metadata.unwrap_or_default();
    let length: octet_length<sessions::metadata> = octet_length(sessions::metadata);
    sessions::table
        .filter(sessions::organization.eq(organization))
        .filter(sessions::id.eq(id))
        .filter(within)
        .filter(sessions::version.eq(version))
        .filter(sessions::due.eq(due).or(sessions::due.is_null().and(never).nullable()))
        .filter(any.or(length.ge(least)))
}

/// When attempts at linking a session were begun, of those that count, newest first.
#[auto_type(no_type_alias)]
pub(crate) fn attempts_of_session<'a>(
    owner: &'a Owner,
    session: &'a str,
    since: i64,
    until: i64,
) -> _ {
    let organization: &'a str = owner.organization.as_str();
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
    owner: &'a Owner,
    phone: &'a [u8],
    since: i64,
    until: i64,
) -> _ {
    let organization: &'a str = owner.organization.as_str();
    link_attempts::table
        .filter(link_attempts::organization.eq(organization))
        .filter(link_attempts::phone.eq(phone))
        .filter(link_attempts::at.gt(since))
        .filter(link_attempts::at.le(until))
        .order(link_attempts::at.desc())
}

/// The same of the whole organization.
#[auto_type(no_type_alias)]
pub(crate) fn attempts_of_organization<'a>(owner: &'a Owner, since: i64, until: i64) -> _ {
    let organization: &'a str = owner.organization.as_str();
    link_attempts::table
        .filter(link_attempts::organization.eq(organization))
        .filter(link_attempts::at.gt(since))
        .filter(link_attempts::at.le(until))
        .order(link_attempts::at.desc())
}

// For berth's own work.

/// What opens the index over all organizations' attempts; it is true of each.
const ANYBODY_S: &str = "epoch >= 0";

/// The attempts at linking that were begun no later than this.
#[auto_type(no_type_alias)]
pub(crate) fn old_attempts(at: i64) -> _ {
    let all: SqlLiteral<Bool> = sql::<Bool>(ANYBODY_S);
    link_attempts::table.filter(link_attempts::at.le(at)).filter(all)
}
