//! Test: statements of webhooks for their owners, of data keys and of the quota walk the rows of one
//! organization by index, and of one webhook where the webhook is given.

use diesel::{
    dsl::{count_star, min, not},
    prelude::*,
};
use diesel_async::RunQueryDsl;
use domain::{AttemptId, EventId, WebhookId, ports::Position};

use super::{
    accesses::{Access, PlannedDatabase, by, plan_faults},
    at, scope,
};
use crate::{
    rows::{
        data_key::DataKeyRow, dead_letter::DeadLetterRow, retry_queue::RetryQueueRow,
        webhook::WebhookRow, webhook_attempt::AttemptRow, webhook_progress::ProgressColumns,
    },
    schema::{
        data_keys, events, usage, webhook_cursors, webhook_dead_letters, webhook_retries, webhooks,
    },
    scope::{
        KeysetPosition, ScopeParams,
        counts::{usage_of, usage_of_one},
        data_keys::{data_key, wrapped_by_others},
        webhooks::{
            attempt_page, attempts, cursor, dead_letter_page, dead_letters, events_from, retries,
            webhook, webhook_page,
        },
    },
};

// Two indexes of PostgreSQL contain both columns, and either is of the organization.
const BY_ID: Access = by(["webhooks_", "PRIMARY KEY"], &["organization", "id"]);
const CURSOR: Access = by(["webhook_cursors_pkey", "PRIMARY KEY"], &["organization", "webhook"]);
const RETRIES: Access = by(["webhook_retries_pkey", "PRIMARY KEY"], &["organization", "webhook"]);

/// Returns the faults of the plans of webhooks and their progress.
async fn webhook_faults(planned: &PlannedDatabase) -> Vec<String> {
    let params = ScopeParams::of(&scope());
    let id = "wh_1";
    let after = |id: Option<WebhookId>| {
        let position = id.map(|id| Position { created_at: at(6_000), id });
        KeysetPosition::of(position.as_ref())
    };
    let (first, second) = (after(None), after(Some(WebhookId::from_bits(5))));
    let page =
        by(["webhooks_newest_first", "webhooks_newest_first"], &["organization", "created_at"])
            .of_few();
    plan_faults!(
        planned,
        BY_ID => webhook(&params, id).select(WebhookRow::as_select()),
        BY_ID => diesel::delete(webhook(&params, id)),
        BY_ID => diesel::delete(webhook(&params, id).filter(webhooks::version.eq(1))),
        BY_ID => diesel::update(webhook(&params, id).filter(webhooks::version.eq(1)))
            .set(webhooks::version.eq(2)),
        page => webhook_page(&params, &first).select(WebhookRow::as_select()).limit(50),
        page => webhook_page(&params, &second).select(WebhookRow::as_select()).limit(50),
        CURSOR => cursor(&params, id).select(ProgressColumns::as_select()),
        CURSOR => cursor(&params, id).select(webhook_cursors::leased_until),
        CURSOR => diesel::update(cursor(&params, id)).set(webhook_cursors::due.eq(Some(5))),
        CURSOR => diesel::update(cursor(&params, id).filter(webhook_cursors::position.lt(9)))
            .set(webhook_cursors::position.eq(9)),
        CURSOR => diesel::update(cursor(&params, id)
            .filter(webhook_cursors::replay_started_at.is_null()))
            .set(webhook_cursors::due.eq(Some(5))),
        CURSOR => diesel::delete(cursor(&params, id)),
    )
}

/// Returns the faults of the plans of retries, dead letters and attempts.
async fn delivery_faults(planned: &PlannedDatabase) -> Vec<String> {
    let params = ScopeParams::of(&scope());
    let id = "wh_1";
    let start = KeysetPosition::of::<AttemptId>(None);
    let dead = Position { created_at: at(6_000), id: EventId::from_bits(5) };
    let dead = KeysetPosition::of(Some(&dead));
    let attempt = Position { created_at: at(6_000), id: AttemptId::from_bits(5) };
    let attempt = KeysetPosition::of(Some(&attempt));
    let one_dead =
        by(["webhook_dead_letters_", "PRIMARY KEY"], &["organization", "webhook", "event"]);
    let dead_page = by(
        ["webhook_dead_letters_newest_first", "webhook_dead_letters_newest_first"],
        &["organization", "webhook", "died_at"],
    )
    .of_few();
    let attempt_pages = by(
        ["webhook_attempts_newest_first", "webhook_attempts_newest_first"],
        &["organization", "webhook", "at"],
    )
    .of_few();
    // Several indexes begin with these columns.
    let any_dead = by(["webhook_dead_letters_", ""], &["organization", "webhook"]);
    let any_attempts = by(["webhook_attempts_", ""], &["organization", "webhook"]);
    plan_faults!(
        planned,
        RETRIES => retries(&params, id).select(RetryQueueRow::as_select()),
        RETRIES => retries(&params, id)
            .filter(not(webhook_retries::settled))
            .select((count_star(), min(webhook_retries::due), min(webhook_retries::event))),
        RETRIES => retries(&params, id)
            .filter(webhook_retries::event.eq("evt_1"))
            .select(webhook_retries::event)
            .limit(1),
        RETRIES => diesel::update(retries(&params, id).filter(webhook_retries::event.eq("evt_1")))
            .set(webhook_retries::skip.eq(true)),
        RETRIES => diesel::delete(retries(&params, id)),
        one_dead => dead_letters(&params, id)
            .filter(webhook_dead_letters::event.eq("evt_1"))
            .select(DeadLetterRow::as_select()),
        any_dead => diesel::delete(dead_letters(&params, id)),
        dead_page => dead_letter_page(&params, id, &start)
            .select(DeadLetterRow::as_select())
            .limit(50),
        dead_page => dead_letter_page(&params, id, &dead)
            .select(DeadLetterRow::as_select())
            .limit(50),
        any_attempts => diesel::delete(attempts(&params, id)),
        attempt_pages => attempt_page(&params, id, &start)
            .select(AttemptRow::as_select())
            .limit(50),
        attempt_pages => attempt_page(&params, id, &attempt)
            .select(AttemptRow::as_select())
            .limit(50),
    )
}

/// Returns the faults of the plans of the first event of a replay, of data keys and of the quota.
async fn other_faults(planned: &PlannedDatabase) -> Vec<String> {
    let params = ScopeParams::of(&scope());
    let from = by(["events_pkey", "events_in_stream_by_id"], &["organization", "stream", "id"]);
    let key = by(["data_keys_pkey", "PRIMARY KEY"], &["organization", "number"]);
    let all_keys = by(["data_keys_pkey", "PRIMARY KEY"], &["organization"]);
    let usage_of_resource = by(["usage_pkey", "PRIMARY KEY"], &["organization", "stock"]);
    let usage_of_organization = by(["usage_pkey", "PRIMARY KEY"], &["organization"]);
    plan_faults!(
        planned,
        from => events_from(&params, "messages", "evt_7").select(events::position).limit(1),
        key => data_key("org-1", 1).select(DataKeyRow::as_select()),
        key => diesel::update(data_key("org-1", 1).filter(data_keys::seal_key.eq("seal-1")))
            .set(data_keys::seal_key.eq("seal-0")),
        all_keys => wrapped_by_others("seal-1", "org-1").select(DataKeyRow::as_select()).limit(50),
        usage_of_resource => usage_of_one(&params, "webhooks").select(usage::used),
        usage_of_organization => usage_of(&params, &["sessions", "webhooks"])
            .select((usage::stock, usage::used)),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_of_owners_walk_their_own_rows_by_index() {
    let mut faults = Vec::new();
    for planned in PlannedDatabase::of_each_kind().await {
        faults.extend(webhook_faults(&planned).await);
        faults.extend(delivery_faults(&planned).await);
        faults.extend(other_faults(&planned).await);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}
