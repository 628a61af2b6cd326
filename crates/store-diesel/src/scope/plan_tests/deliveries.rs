//! Test: statements of the dispatcher walk an index: those of one organization within its rows, and
//! those of all organizations in pages.

use diesel::{
    prelude::*,
    sql_types::{BigInt, Text},
};
use diesel_async::RunQueryDsl;

use super::accesses::{Access, Connections, PlannedDatabase, by, plan_faults};
use crate::{
    rows::webhook::WebhookRow,
    schema::{events, webhook_dead_letters},
    scope::{
        bound_query::bound_query,
        deliveries::{
            BEHIND, DISABLE, DUE, PRUNE_ATTEMPTS, PRUNE_DEAD_LETTERS, claim_statement,
            dead_in_order, end_replays_statement, event_at, events_at, flush_statement,
            live_webhooks, live_webhooks_of, mark_replayed_statement, organization_events,
            remove_retries_statement, session_events, store_attempts_statement,
            store_dead_letters_statement, store_retries_statement,
        },
    },
};

/// Accesses by an index of the same name on both databases, on a connection for the feed.
const fn in_order(index: &'static str, bounds: &'static [&'static str]) -> Access {
    by([index, index], bounds).on(Connections::Feed)
}

/// Returns the faults of the plans of reads of one organization.
async fn read_faults(planned: &PlannedDatabase) -> Vec<String> {
    let positions: Vec<i64> = (1..50).collect();
    let feed = in_order("events_feed", &["organization", "position"]);
    // The session belongs to one organization.
    let of_session = in_order("events_in_stream", &["session", "stream", "sequence"]);
    let without_session = in_order("events_without_session", &["organization", "position"]);
    let dead = in_order("webhook_dead_letters_in_order", &["organization", "webhook", "position"]);
    let of_organization = by(["webhooks_", ""], &["organization"]);
    plan_faults!(
        planned,
        feed => event_at("org-1", 7).select(events::payload),
        feed.of_list() => events_at("org-1", &positions).select((events::position, events::payload)),
        of_session => session_events("org-1", "sess_1", "messages", 7).select(events::payload).limit(100),
        without_session => organization_events("org-1", 7, 90_000)
            .select(events::payload)
            .limit(100),
        dead => dead_in_order("org-1", "wh_1", 7, 90_000)
            .select(webhook_dead_letters::position)
            .limit(100),
        of_organization => live_webhooks_of("org-1").select(WebhookRow::as_select()),
    )
}

/// Returns the faults of the plans of writes of one webhook.
async fn write_faults(planned: &PlannedDatabase) -> Vec<String> {
    let disabled = by(["webhooks_", "PRIMARY KEY"], &["organization"]).on(Connections::Lookups);
    let attempts = by(["webhook_attempts_pkey", "PRIMARY KEY"], &["organization", "webhook"])
        .on(Connections::Lookups);
    let dead = by(
        ["webhook_dead_letters_newest_first", "webhook_dead_letters_newest_first"],
        &["organization", "webhook"],
    )
    .on(Connections::Lookups);
    plan_faults!(
        planned,
        disabled => bound_query!(
            DISABLE,
            Text: "org-1",
            Text: "wh_1",
            BigInt: 1,
            BigInt: 1,
            Text: "gone",
            BigInt: 9
        ),
        attempts => bound_query!(PRUNE_ATTEMPTS, Text: "org-1", Text: "wh_1", BigInt: 500),
        dead => bound_query!(PRUNE_DEAD_LETTERS, Text: "org-1", Text: "wh_1", BigInt: 500),
    )
}

/// A list with one row of each kind.
const LIST: &str = r#"[{"organization": "org-1", "webhook": "wh_1", "event": "evt_1", "pass": 0,
    "ordering_key": "sess_1", "epoch": 1, "position": 5}]"#;

/// Returns the faults of the plans of writes of listed webhooks.
async fn list_faults(planned: &PlannedDatabase) -> Vec<String> {
    let kind = planned.database.kind();
    let of_key = |index, bounds| by(index, bounds).on(Connections::Lookups).of_list();
    let cursors = of_key(["webhook_cursors_pkey", "PRIMARY KEY"], &["organization", "webhook"]);
    let retries = of_key(
        ["webhook_retries_pkey", "PRIMARY KEY"],
        &["organization", "webhook", "pass", "ordering_key"],
    );
    let dead =
        of_key(["webhook_dead_letters_pkey", "PRIMARY KEY"], &["organization", "webhook", "event"]);
    plan_faults!(
        planned,
        cursors => bound_query!(
            claim_statement(kind),
            Text: LIST,
            Text: "router-1",
            BigInt: 900,
            BigInt: 500
        ),
        cursors => bound_query!(flush_statement(kind).as_str(), Text: LIST),
        cursors => bound_query!(end_replays_statement(kind).as_str(), Text: LIST),
        retries => bound_query!(remove_retries_statement(kind).as_str(), Text: LIST),
        dead => bound_query!(mark_replayed_statement(kind).as_str(), Text: LIST),
        of_key(["webhook_retries_pkey", ""], &[]) =>
            bound_query!(store_retries_statement(kind).as_str(), Text: LIST),
        of_key(["webhook_dead_letters_pkey", ""], &[]) =>
            bound_query!(store_dead_letters_statement(kind).as_str(), Text: LIST),
        of_key(["webhook_attempts_pkey", ""], &[]) =>
            bound_query!(store_attempts_statement(kind).as_str(), Text: LIST),
    )
}

/// Returns the faults of the plans of pages of all organizations.
async fn page_faults(planned: &PlannedDatabase) -> Vec<String> {
    let live = in_order("webhooks_of_all", &["id"]);
    let due = in_order("webhook_cursors_due", &["due"]);
    // The page, and the webhook and the events of each of its rows.
    let behind = in_order("events_feed", &["organization"]);
    plan_faults!(
        planned,
        live => live_webhooks("").select(WebhookRow::as_select()).limit(500),
        live => live_webhooks("wh_7").select(WebhookRow::as_select()).limit(500),
        due => bound_query!(DUE, BigInt: 300, BigInt: 32),
        behind => bound_query!(
            BEHIND,
            Text: "org-1",
            Text: "wh_1",
            BigInt: 300,
            BigInt: 100
        ),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_of_the_dispatcher_walk_an_index() {
    let mut faults = Vec::new();
    for planned in PlannedDatabase::of_each_kind().await {
        faults.extend(read_faults(&planned).await);
        faults.extend(write_faults(&planned).await);
        faults.extend(list_faults(&planned).await);
        faults.extend(page_faults(&planned).await);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}
