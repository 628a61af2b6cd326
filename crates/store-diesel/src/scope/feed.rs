//! Fragments of the feed: events in the order of their positions.
//!
//! Decision: ADR 0037.

use diesel::{
    dsl::{auto_type, sql},
    expression::SqlLiteral,
    prelude::*,
    sql_types::{BigInt, Bool},
};
use domain::{EventName, FeedRights};

use crate::{
    schema::{events, feed_floors},
    scope::{Flag, ScopeParams, flag},
};

/// The condition of the index over one organization. A literal, because a parameter would not allow
/// PostgreSQL to use the index.
pub(super) const IN_FEED: &str = "position > 0";

/// The position in the index over one organization. An expression, so that no other index serves a
/// statement of one organization: SQLite would prefer the primary key, which orders the events of all
/// organizations, for a range of positions.
pub(super) const POSITION: &str = "(position + 0)";

/// The condition of the index over all organizations. The second half is always true; only
/// statements over all organizations state it, so that no other statement can use the index (ADR
/// 0017).
const IN_FEED_OF_ALL: &str = "position > 0 AND sequence >= 0";

/// A range of positions: after the first, up to the second.
#[derive(Clone, Copy)]
pub(crate) struct PositionRange {
    pub(crate) after: i64,
    pub(crate) until: i64,
}

/// The rights of a reader as parameters of a statement.
pub(crate) struct FeedParams {
    pub(crate) scope: ScopeParams,
    /// The names of the kinds that the reader may see.
    pub(crate) kinds: Vec<&'static str>,
}

impl FeedParams {
    pub(crate) fn of(rights: &FeedRights) -> Self {
        let kinds = rights.kinds().map(EventName::as_str).collect();
        Self { scope: ScopeParams::of(rights.scope()), kinds }
    }
}

// Fragments for callers.

/// Selects the events of the organization in a range, in the order of their positions, whatever
/// their sessions. Only for the position of the page's end.
#[auto_type(no_type_alias)]
pub(crate) fn feed_of_organization<'a>(feed: &'a FeedParams, range: PositionRange) -> _ {
    let organization: &'a str = feed.scope.organization.as_str();
    let after: i64 = range.after;
    let until: i64 = range.until;
    let in_feed: SqlLiteral<Bool> = sql(IN_FEED);
    let position: SqlLiteral<BigInt> = sql(POSITION);
    let last: SqlLiteral<BigInt> = sql(POSITION);
    let order: SqlLiteral<BigInt> = sql(POSITION);
    events::table
        .filter(events::organization.eq(organization))
        .filter(position.gt(after))
        .filter(last.le(until))
        .filter(in_feed)
        .order(order.asc())
}

/// Selects the events of the organization in a range that the reader may see. For a confined reader
/// those are events of its sessions alone: events without a session name keys and users.
#[auto_type(no_type_alias)]
pub(crate) fn feed_page<'a>(feed: &'a FeedParams, range: PositionRange) -> _ {
    let organization: &'a str = feed.scope.organization.as_str();
    let only: &'a [String] = feed.scope.only.as_slice();
    let kinds: &'a [&'static str] = feed.kinds.as_slice();
    let everything: Flag = flag(feed.scope.everything);
    let after: i64 = range.after;
    let until: i64 = range.until;
    let in_feed: SqlLiteral<Bool> = sql(IN_FEED);
    let position: SqlLiteral<BigInt> = sql(POSITION);
    let last: SqlLiteral<BigInt> = sql(POSITION);
    let order: SqlLiteral<BigInt> = sql(POSITION);
    events::table
        .filter(events::organization.eq(organization))
        .filter(everything.nullable().or(events::session.eq_any(only)))
        .filter(events::name.eq_any(kinds))
        .filter(position.gt(after))
        .filter(last.le(until))
        .filter(in_feed)
        .order(order.asc())
}

/// Selects an event of a stream in the feed that the reader may see.
#[auto_type(no_type_alias)]
pub(crate) fn feed_event<'a>(feed: &'a FeedParams, stream: &'static str, id: &'a str) -> _ {
    let organization: &'a str = feed.scope.organization.as_str();
    let only: &'a [String] = feed.scope.only.as_slice();
    let kinds: &'a [&'static str] = feed.kinds.as_slice();
    let everything: Flag = flag(feed.scope.everything);
    let in_feed: SqlLiteral<Bool> = sql(IN_FEED);
    events::table
        .filter(events::organization.eq(organization))
        .filter(events::stream.eq(stream))
        .filter(events::id.eq(id))
        .filter(everything.nullable().or(events::session.eq_any(only)))
        .filter(events::name.eq_any(kinds))
        .filter(in_feed)
}

/// Selects the floor of the organization's feed.
#[auto_type(no_type_alias)]
pub(crate) fn feed_floor<'a>(feed: &'a FeedParams) -> _ {
    let organization: &'a str = feed.scope.organization.as_str();
    feed_floors::table.filter(feed_floors::organization.eq(organization))
}

// Fragments across organizations.

/// One writer commits at a time on SQLite, so every position that a reader sees is safe. A database
/// that was restored row by row may have no counter.
pub(crate) const SQLITE_HORIZON: &str = "SELECT newest AS safe, newest FROM (SELECT max(
    coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0),
    coalesce((SELECT max(position) FROM events), 0)) AS newest)";

/// The migration that creates the function explains why the position is safe.
pub(crate) const POSTGRES_HORIZON: &str = "SELECT safe, newest FROM feed_horizon()";

/// Selects the events of all organizations in a range, in the order of their positions.
#[auto_type(no_type_alias)]
pub(crate) fn feed_of_all(range: PositionRange) -> _ {
    let after: i64 = range.after;
    let until: i64 = range.until;
    let in_feed: SqlLiteral<Bool> = sql(IN_FEED_OF_ALL);
    events::table
        .filter(events::position.gt(after))
        .filter(events::position.le(until))
        .filter(in_feed)
        .order(events::position.asc())
}

/// Moves the floors of all organizations up to the positions of their events in a range. Parameters:
/// the range.
pub(crate) const MOVE_FLOORS: &str = "INSERT INTO feed_floors (organization, position)
    SELECT organization, max(position) FROM events
        WHERE position > $1 AND position <= $2 AND position > 0 AND sequence >= 0
        GROUP BY organization ORDER BY organization
    ON CONFLICT (organization) DO UPDATE SET position = excluded.position
        WHERE excluded.position > feed_floors.position";

/// Deletes the events of all organizations in a range that the audit log does not keep.
#[auto_type(no_type_alias)]
pub(crate) fn feed_only_events<'a>(range: PositionRange, kinds: &'a [&'static str]) -> _ {
    let after: i64 = range.after;
    let until: i64 = range.until;
    let in_feed: SqlLiteral<Bool> = sql(IN_FEED_OF_ALL);
    events::table
        .filter(events::position.gt(after))
        .filter(events::position.le(until))
        .filter(in_feed)
        .filter(events::name.eq_any(kinds))
}

/// Returns the first organization with events after a given one. Parameter: that organization.
pub(crate) const NEXT_ORGANIZATION: &str = "SELECT organization AS id FROM events
    WHERE organization > $1 ORDER BY organization LIMIT 1";

/// Deletes the oldest events of an organization that are older than a time and below the floor of
/// the feed. Parameters: the organization, the number of events, the time.
pub(crate) const DELETE_FROM_AUDIT: &str = "DELETE FROM events
    WHERE organization = $1 AND stream = 'session' AND id IN (
        SELECT id FROM events WHERE organization = $1 AND stream = 'session' ORDER BY id LIMIT $2)
    AND at < $3
    AND position <= coalesce((SELECT position FROM feed_floors WHERE organization = $1), 0)";
