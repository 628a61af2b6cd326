//! Fragments of deliveries. Those of one webhook or organization contain the organization; those
//! across organizations serve the dispatcher alone.
//!
//! Decision: ADR 0044.

use diesel::{
    dsl::{auto_type, sql},
    expression::SqlLiteral,
    prelude::*,
    sql_types::{BigInt, Bool},
};

use crate::{
    DatabaseKind,
    rows::json_rows::{JsonColumn, json_rows, names},
    schema::{events, webhook_dead_letters, webhooks},
    scope::feed::{IN_FEED, POSITION},
};

/// A condition that is always true, and of the index over all organizations (ADR 0017).
const OF_ALL: &str = "delay_seconds >= 0";

/// The columns that identify a webhook.
const KEY: [JsonColumn; 2] = [("organization", "text"), ("webhook", "text")];

/// The columns of `webhook_cursors` that a flush replaces as they are.
const REPLACED: [JsonColumn; 12] = [
    ("breaker_until", "bigint"),
    ("breaker_step", "bigint"),
    ("breaker_unreached", "bigint"),
    ("failing_since", "bigint"),
    ("failures", "bigint"),
    ("succeeded_at", "bigint"),
    ("last_error", "text"),
    ("resumed_at", "bigint"),
    ("delivered", "bigint"),
    ("failed", "bigint"),
    ("dead", "bigint"),
    ("gaps", "bigint"),
];

/// The other columns of a flush of `webhook_cursors`.
const GUARDED: [JsonColumn; 6] = [
    ("epoch", "bigint"),
    ("position", "bigint"),
    ("replay_started_at", "bigint"),
    ("replay_position", "bigint"),
    ("leased_until", "bigint"),
    ("due", "bigint"),
];

const RETRY: [JsonColumn; 14] = [
    ("organization", "text"),
    ("webhook", "text"),
    ("pass", "bigint"),
    ("ordering_key", "text"),
    ("event", "text"),
    ("position", "bigint"),
    ("sequence", "bigint"),
    ("attempts", "bigint"),
    ("due", "bigint"),
    ("first_failed_at", "bigint"),
    ("outcome", "text"),
    ("status", "bigint"),
    ("settled", "boolean"),
    ("skip", "boolean"),
];

const DEAD_LETTER: [JsonColumn; 11] = [
    ("organization", "text"),
    ("webhook", "text"),
    ("event", "text"),
    ("session", "text"),
    ("position", "bigint"),
    ("attempts", "bigint"),
    ("first_failed_at", "bigint"),
    ("died_at", "bigint"),
    ("outcome", "text"),
    ("status", "bigint"),
    ("replayed_at", "bigint"),
];

const ATTEMPT: [JsonColumn; 11] = [
    ("organization", "text"),
    ("webhook", "text"),
    ("id", "text"),
    ("event", "text"),
    ("number", "bigint"),
    ("replay", "boolean"),
    ("at", "bigint"),
    ("millis", "bigint"),
    ("outcome", "text"),
    ("status", "bigint"),
    ("excerpt", "text"),
];

const OWN_CURSOR: &str = "webhook_cursors.organization = entry.organization \
    AND webhook_cursors.webhook = entry.webhook";

// Fragments of one organization.

/// Selects the event at a position.
#[auto_type(no_type_alias)]
pub(crate) fn event_at(organization: &str, position: i64) -> _ {
    let in_feed: SqlLiteral<Bool> = sql(IN_FEED);
    let own_position: SqlLiteral<BigInt> = sql(POSITION);
    events::table
        .filter(events::organization.eq(organization))
        .filter(own_position.eq(position))
        .filter(in_feed)
}

/// Selects the events of a session and a stream after a sequence number.
#[auto_type(no_type_alias)]
pub(crate) fn session_events<'a>(
    organization: &'a str,
    session: &'a str,
    stream: &'static str,
    after: i64,
) -> _ {
    events::table
        .filter(events::organization.eq(organization))
        .filter(events::session.eq(session))
        .filter(events::stream.eq(stream))
        .filter(events::sequence.gt(after))
        .order(events::sequence.asc())
}

/// Selects the events without a session after a position, up to another.
#[auto_type(no_type_alias)]
pub(crate) fn organization_events(organization: &str, after: i64, until: i64) -> _ {
    let position: SqlLiteral<BigInt> = sql(POSITION);
    let last: SqlLiteral<BigInt> = sql(POSITION);
    let order: SqlLiteral<BigInt> = sql(POSITION);
    events::table
        .filter(events::organization.eq(organization))
        .filter(events::session.is_null())
        .filter(position.gt(after))
        .filter(last.le(until))
        .order(order.asc())
}

/// Selects the events at positions, in any order.
#[auto_type(no_type_alias)]
pub(crate) fn events_at<'a>(organization: &'a str, positions: &'a [i64]) -> _ {
    let in_feed: SqlLiteral<Bool> = sql(IN_FEED);
    let position: SqlLiteral<BigInt> = sql(POSITION);
    events::table
        .filter(events::organization.eq(organization))
        .filter(position.eq_any(positions))
        .filter(in_feed)
}

/// Selects the dead letters of a webhook that were not replayed, after a position, up to another.
#[auto_type(no_type_alias)]
pub(crate) fn dead_in_order<'a>(
    organization: &'a str,
    webhook: &'a str,
    after: i64,
    until: i64,
) -> _ {
    webhook_dead_letters::table
        .filter(webhook_dead_letters::organization.eq(organization))
        .filter(webhook_dead_letters::webhook.eq(webhook))
        .filter(webhook_dead_letters::replayed_at.is_null())
        .filter(webhook_dead_letters::position.gt(after))
        .filter(webhook_dead_letters::position.le(until))
        .order(webhook_dead_letters::position.asc())
}

/// Selects the webhooks of an organization whose events are delivered.
#[auto_type(no_type_alias)]
pub(crate) fn live_webhooks_of(organization: &str) -> _ {
    webhooks::table
        .filter(webhooks::organization.eq(organization))
        .filter(webhooks::active)
        .filter(diesel::dsl::not(webhooks::paused))
        .filter(webhooks::disabled_reason.is_null())
}

/// Disables a webhook of a version, if the lease is still held. Parameters: the organization, the
/// webhook, the version, the epoch, the reason, the time.
pub(crate) const DISABLE: &str =
    "UPDATE webhooks SET disabled_reason = $5, updated_at = $6, version = version + 1
    WHERE organization = $1 AND id = $2 AND version = $3 AND disabled_reason IS NULL
        AND EXISTS (SELECT 1 FROM webhook_cursors
            WHERE organization = $1 AND webhook = $2 AND epoch = $4)";

/// Removes all but the newest attempts of a webhook. Parameters: the organization, the webhook, the
/// number of attempts that stay.
pub(crate) const PRUNE_ATTEMPTS: &str =
    "DELETE FROM webhook_attempts WHERE organization = $1 AND webhook = $2
        AND id <= (SELECT id FROM webhook_attempts WHERE organization = $1 AND webhook = $2
            ORDER BY id DESC LIMIT 1 OFFSET $3)";

/// Removes all but the newest dead letters of a webhook. Parameters as for the attempts.
pub(crate) const PRUNE_DEAD_LETTERS: &str =
    "DELETE FROM webhook_dead_letters WHERE organization = $1 AND webhook = $2
        AND (died_at, event) <= (SELECT died_at, event FROM webhook_dead_letters
            WHERE organization = $1 AND webhook = $2
            ORDER BY died_at DESC, event DESC LIMIT 1 OFFSET $3)";

// Fragments across organizations.

/// Selects the webhooks whose events are delivered, by id, after an id.
#[auto_type(no_type_alias)]
pub(crate) fn live_webhooks(after: &str) -> _ {
    let of_all: SqlLiteral<Bool> = sql(OF_ALL);
    webhooks::table
        .filter(webhooks::id.gt(after))
        .filter(webhooks::active)
        .filter(diesel::dsl::not(webhooks::paused))
        .filter(webhooks::disabled_reason.is_null())
        .filter(of_all)
        .order(webhooks::id.asc())
}

/// Selects a page of webhooks by key, and whether each is live, without a lease, and behind the
/// events of its organization. Parameters: the organization and the webhook after which the page
/// begins, the time, the number of webhooks. The webhook is a value and not `EXISTS`, for which
/// PostgreSQL may collect all live webhooks.
pub(crate) const BEHIND: &str = "SELECT organization, webhook, leased_until <= $3
        AND coalesce((SELECT active AND NOT paused AND disabled_reason IS NULL FROM webhooks
            WHERE webhooks.organization = page.organization AND id = webhook), false)
        AND EXISTS (SELECT 1 FROM events WHERE events.organization = page.organization
            AND events.position + 0 > page.position AND events.position > 0) AS found
    FROM (SELECT organization, webhook, position, leased_until FROM webhook_cursors
        WHERE (organization, webhook) > ($1, $2)
        ORDER BY organization, webhook LIMIT $4) AS page
    ORDER BY organization, webhook";

/// Selects webhooks without a lease that are due. Parameters: the time, the number of webhooks.
pub(crate) const DUE: &str = "SELECT organization, webhook FROM webhook_cursors
    WHERE due IS NOT NULL AND due <= $1 AND leased_until <= $1 ORDER BY due LIMIT $2";

/// Ends all leases, and makes their webhooks due. Parameter: the time.
pub(crate) const END_LEASES: &str =
    "UPDATE webhook_cursors SET leased_until = 0, due = 0 WHERE leased_until > $1";

/// Returns assignments of columns from the columns of the same names in `source`.
fn assignments(columns: &[JsonColumn], source: &str) -> String {
    let assignments = columns.iter().map(|(name, _)| format!("{name} = {source}.{name}"));
    assignments.collect::<Vec<_>>().join(", ")
}

/// Claims the leases of listed webhooks; returns those that were free. Parameters: the list, the
/// holder, the end of the leases, the time.
pub(crate) fn claim_statement(kind: DatabaseKind) -> String {
    format!(
        "UPDATE webhook_cursors SET holder = $2, epoch = epoch + 1, leased_until = $3, due = $3
        FROM {rows} WHERE {OWN_CURSOR} AND (leased_until <= $4 OR holder = $2)
        RETURNING webhook_cursors.organization AS organization, webhook_cursors.webhook AS webhook",
        rows = json_rows(kind, &KEY),
    )
}

/// Writes the listed progress of webhooks whose leases are still held; returns these webhooks.
pub(crate) fn flush_statement(kind: DatabaseKind) -> String {
    let replaced = assignments(&REPLACED, "entry");
    format!(
        "UPDATE webhook_cursors SET {replaced},
            position = CASE WHEN entry.position > webhook_cursors.position
                THEN entry.position ELSE webhook_cursors.position END,
            replay_position = CASE
                WHEN entry.replay_started_at = webhook_cursors.replay_started_at
                THEN entry.replay_position ELSE webhook_cursors.replay_position END,
            due = CASE WHEN webhook_cursors.due = webhook_cursors.leased_until
                THEN entry.due ELSE webhook_cursors.due END,
            leased_until = entry.leased_until
        FROM {rows} WHERE {OWN_CURSOR} AND webhook_cursors.epoch = entry.epoch
        RETURNING webhook_cursors.organization AS organization, webhook_cursors.webhook AS webhook",
        rows = json_rows(kind, &[&KEY[..], &REPLACED, &GUARDED].concat()),
    )
}

/// Ends listed replays.
pub(crate) fn end_replays_statement(kind: DatabaseKind) -> String {
    format!(
        "UPDATE webhook_cursors SET replay_started_at = NULL, replay_position = NULL,
            replay_until = NULL, replay_from = NULL, replay_before = NULL, replay_dead_only = NULL
        FROM {rows} WHERE {OWN_CURSOR}
            AND webhook_cursors.replay_started_at = entry.replay_started_at",
        rows = json_rows(kind, &[&KEY[..], &[("replay_started_at", "bigint")]].concat()),
    )
}

/// Removes listed retry queues.
pub(crate) fn remove_retries_statement(kind: DatabaseKind) -> String {
    format!(
        "DELETE FROM webhook_retries WHERE (organization, webhook, pass, ordering_key) IN (
            SELECT {columns} FROM {rows})",
        columns = names(&RETRY[..4]),
        rows = json_rows(kind, &RETRY[..4]),
    )
}

/// Stores listed retry queues. A queue whose event stays the same keeps the mark to skip it.
pub(crate) fn store_retries_statement(kind: DatabaseKind) -> String {
    let replaced = assignments(&RETRY[4..13], "excluded");
    format!(
        "INSERT INTO webhook_retries ({columns}) SELECT {columns} FROM {rows} WHERE true
        ON CONFLICT (organization, webhook, pass, ordering_key) DO UPDATE SET {replaced},
            skip = CASE WHEN webhook_retries.position = excluded.position
                THEN webhook_retries.skip ELSE excluded.skip END",
        columns = names(&RETRY),
        rows = json_rows(kind, &RETRY),
    )
}

/// Stores listed dead letters.
pub(crate) fn store_dead_letters_statement(kind: DatabaseKind) -> String {
    let replaced = assignments(&DEAD_LETTER[5..], "excluded");
    format!(
        "INSERT INTO webhook_dead_letters ({columns}) SELECT {columns} FROM {rows} WHERE true
        ON CONFLICT (organization, webhook, event) DO UPDATE SET {replaced}",
        columns = names(&DEAD_LETTER),
        rows = json_rows(kind, &DEAD_LETTER),
    )
}

/// Marks listed dead letters as replayed.
pub(crate) fn mark_replayed_statement(kind: DatabaseKind) -> String {
    let columns = [&KEY[..], &[("event", "text"), ("replayed_at", "bigint")]].concat();
    format!(
        "UPDATE webhook_dead_letters SET replayed_at = entry.replayed_at FROM {rows}
        WHERE webhook_dead_letters.organization = entry.organization
            AND webhook_dead_letters.webhook = entry.webhook
            AND webhook_dead_letters.event = entry.event",
        rows = json_rows(kind, &columns),
    )
}

/// Stores listed attempts, unless they are stored.
pub(crate) fn store_attempts_statement(kind: DatabaseKind) -> String {
    format!(
        "INSERT INTO webhook_attempts ({columns}) SELECT {columns} FROM {rows} WHERE true
        ON CONFLICT (organization, webhook, id) DO NOTHING",
        columns = names(&ATTEMPT),
        rows = json_rows(kind, &ATTEMPT),
    )
}
