//! Fragments of the feed: events in the order of their positions.
//!
//! Decision: ADR 0037.

use diesel::{dsl::auto_type, prelude::*};

use crate::{
    schema::{events, feed_floors},
    scope::{Flag, ScopeParams, flag},
};

/// A range of positions: after the first, up to the second.
#[derive(Clone, Copy)]
pub(crate) struct PositionRange {
    pub(crate) after: i64,
    pub(crate) until: i64,
}

/// Selects the events of the organization in a range, in the order of their positions, whatever
/// their sessions. Only for the position of the page's end.
#[auto_type(no_type_alias)]
pub(crate) fn feed_of_organization<'a>(scope: &'a ScopeParams, range: PositionRange) -> _ {
    let organization: &'a str = scope.organization.as_str();
    let (after, until): (i64, i64) = (range.after, range.until);
    events::table
        .filter(events::organization.eq(organization))
        .filter(events::position.gt(after))
        .filter(events::position.le(until))
        .filter(events::position.gt(0))
        .order(events::position.asc())
}

/// Selects the events of the organization in a range that are within reach. For a confined scope
/// those are the events of its sessions alone: events without a session name keys and users.
#[auto_type(no_type_alias)]
pub(crate) fn feed_page<'a>(scope: &'a ScopeParams, range: PositionRange) -> _ {
    let organization: &'a str = scope.organization.as_str();
    let only: &'a [String] = scope.only.as_slice();
    let everything: Flag = flag(scope.everything);
    let (after, until): (i64, i64) = (range.after, range.until);
    events::table
        .filter(events::organization.eq(organization))
        .filter(everything.nullable().or(events::session.eq_any(only)))
        .filter(events::position.gt(after))
        .filter(events::position.le(until))
        .filter(events::position.gt(0))
        .order(events::position.asc())
}

/// Selects an event of the feed within reach.
#[auto_type(no_type_alias)]
pub(crate) fn feed_event<'a>(scope: &'a ScopeParams, id: &'a str) -> _ {
    let organization: &'a str = scope.organization.as_str();
    let only: &'a [String] = scope.only.as_slice();
    let everything: Flag = flag(scope.everything);
    events::table
        .filter(events::organization.eq(organization))
        .filter(events::id.eq(id))
        .filter(everything.nullable().or(events::session.eq_any(only)))
        .filter(events::position.gt(0))
}

/// Selects the floor of the organization's feed.
#[auto_type(no_type_alias)]
pub(crate) fn feed_floor<'a>(scope: &'a ScopeParams) -> _ {
    let organization: &'a str = scope.organization.as_str();
    feed_floors::table.filter(feed_floors::organization.eq(organization))
}

/// Selects the events of all organizations in a range. The last condition is always true; it opens
/// the index over all organizations to this statement alone (ADR 0017).
#[auto_type(no_type_alias)]
pub(crate) fn feed_of_all(range: PositionRange) -> _ {
    let (after, until): (i64, i64) = (range.after, range.until);
    events::table
        .filter(events::position.gt(after))
        .filter(events::position.le(until))
        .filter(events::position.gt(0))
        .filter(events::sequence.ge(0))
        .order(events::position.asc())
}
