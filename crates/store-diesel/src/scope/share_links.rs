//! Fragments of share links. Those for callers take the organization, the session and the reach from
//! [`ScopedSessionId`]. Those of the directory start from a secret, before the organization is known.

use diesel::{
    dsl::{auto_type, sql},
    expression::SqlLiteral,
    prelude::*,
    sql_types::Bool,
};
use domain::LinkOutcome;

use crate::{
    schema::share_links,
    scope::{Flag, KeysetPosition, ScopedSessionId, flag, keyset::KeysetBefore},
};

/// Selects the links of a session. For a session out of reach the statement runs too, and finds no
/// row.
#[auto_type(no_type_alias)]
pub(crate) fn links_of_session<'a>(scoped_id: &'a ScopedSessionId) -> _ {
    let organization: &'a str = scoped_id.organization.as_str();
    let session: &'a str = scoped_id.id.as_str();
    let in_reach: Flag = flag(scoped_id.in_reach);
    share_links::table
        .filter(share_links::organization.eq(organization))
        .filter(share_links::session.eq(session))
        .filter(in_reach)
}

/// Selects one link.
#[auto_type(no_type_alias)]
pub(crate) fn link<'a>(scoped_id: &'a ScopedSessionId, id: &'a str) -> _ {
    let organization: &'a str = scoped_id.organization.as_str();
    let session: &'a str = scoped_id.id.as_str();
    let in_reach: Flag = flag(scoped_id.in_reach);
    share_links::table
        .filter(share_links::organization.eq(organization))
        .filter(share_links::session.eq(session))
        .filter(in_reach)
        .filter(share_links::id.eq(id))
}

/// Selects one link unless it has ended.
#[auto_type(no_type_alias)]
pub(crate) fn unended_link<'a>(scoped_id: &'a ScopedSessionId, id: &'a str) -> _ {
    let organization: &'a str = scoped_id.organization.as_str();
    let session: &'a str = scoped_id.id.as_str();
    let in_reach: Flag = flag(scoped_id.in_reach);
    share_links::table
        .filter(share_links::organization.eq(organization))
        .filter(share_links::session.eq(session))
        .filter(in_reach)
        .filter(share_links::id.eq(id))
        .filter(share_links::ended_at.is_null())
}

/// Selects the links of a session after a position, newest first.
#[auto_type(no_type_alias)]
pub(crate) fn link_page<'a>(scoped_id: &'a ScopedSessionId, after: &'a KeysetPosition) -> _ {
    let organization: &'a str = scoped_id.organization.as_str();
    let session: &'a str = scoped_id.id.as_str();
    let in_reach: Flag = flag(scoped_id.in_reach);
    let follows: KeysetBefore<'a, share_links::created_at, share_links::id> =
        after.before(share_links::created_at, share_links::id);
    share_links::table
        .filter(share_links::organization.eq(organization))
        .filter(share_links::session.eq(session))
        .filter(in_reach)
        .filter(follows)
        .order((share_links::created_at.desc(), share_links::id.desc()))
}

// Fragments of the directory and of the worker, across organizations.

// The conditions of the indexes over all organizations, which are always true. Parameters in their place
// would keep PostgreSQL from these indexes, and one condition would let a statement walk the index of
// another one.
const BY_SECRET: &str = "attempts >= 0";
const BY_BROWSER: &str = "removed_at >= 0";
const BY_REMOVAL: &str = "created_at >= 0";

/// Selects a link of any organization by its id and digest, if the link opens in the browser.
#[auto_type(no_type_alias)]
pub(crate) fn any_link_by_secret<'a>(
    id: &'a str,
    digest: &'a [u8],
    browser: Option<&'a [u8]>,
    now: i64,
) -> _ {
    let of_all: SqlLiteral<Bool> = sql(BY_SECRET);
    share_links::table
        .filter(share_links::id.eq(id))
        .filter(of_all)
        .filter(share_links::digest.eq(digest))
        .filter(share_links::ended_at.is_null())
        .filter(share_links::expires_at.gt(now))
        .filter(share_links::browser.eq(browser).or(share_links::browser.is_null().nullable()))
}

/// Selects the link of any organization that a browser opened, if the browser may read the link's
/// state: the link is live, or has another outcome than a revocation.
#[auto_type(no_type_alias)]
pub(crate) fn any_link_by_browser<'a>(browser: &'a [u8], now: i64) -> _ {
    let revoked: &'static str = LinkOutcome::Revoked.as_str();
    let of_all: SqlLiteral<Bool> = sql(BY_BROWSER);
    share_links::table
        .filter(share_links::browser.eq(browser))
        .filter(of_all)
        .filter(share_links::removed_at.gt(now))
        .filter(
            share_links::outcome.ne(revoked).or(share_links::ended_at
                .is_null()
                .and(share_links::expires_at.gt(now))
                .nullable()),
        )
}

/// Selects the links of any organization whose removal time is at most `until`.
#[auto_type(no_type_alias)]
pub(crate) fn links_removed_until(until: i64) -> _ {
    let of_all: SqlLiteral<Bool> = sql(BY_REMOVAL);
    share_links::table.filter(of_all).filter(share_links::removed_at.le(until))
}
