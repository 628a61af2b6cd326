//! Writes flushes of deliveries. Statements take rows in one order: webhooks, cursors, others; as a
//! change of an owner does.
//!
//! Decision: ADR 0044.

use std::collections::BTreeSet;

use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;
use domain::{DeliveryFlush, MAX_DEAD_LETTERS, WebhookKey};

use crate::{
    Database, StoreError,
    batch::mutation::insert_events,
    database::statements::with_transaction,
    rows::{
        column::to_json,
        delivery_flush::{CursorRow, Disablement, LeasedRows},
        event::EventRow,
    },
    scope::{
        bound_query::bound_query,
        deliveries::{
            DISABLE, PRUNE_ATTEMPTS, PRUNE_DEAD_LETTERS, end_replays_statement, flush_statement,
            mark_replayed_statement, remove_retries_statement, store_attempts_statement,
            store_dead_letters_statement, store_retries_statement,
        },
    },
    tables::deliveries::WebhookKeyRow,
};

/// Number of attempts of a webhook that stay when old ones are removed.
const KEPT_ATTEMPTS: i64 = 500;

/// Runs a statement over a list of rows, unless the list is empty.
macro_rules! run_list {
    ($conn:expr, $kind:expr, $statement:ident, $rows:expr) => {
        if !$rows.is_empty() {
            let (statement, list) = ($statement($kind), to_json("webhook_cursors", &$rows)?);
            bound_query!(&statement, Text: &list).execute($conn).await?;
        }
    };
}

/// Disables webhooks; returns the events of those that were.
macro_rules! disable {
    ($conn:expr, $kind:expr, $disabled:expr) => {{
        let mut events = Vec::new();
        for one in &$disabled {
            let query = bound_query!(
                DISABLE,
                Text: one.key.organization.as_str(),
                Text: one.key.webhook.as_str(),
                BigInt: one.version,
                BigInt: one.epoch,
                Text: one.reason.as_str(),
                BigInt: one.event.at.millis()
            );
            if query.execute($conn).await? > 0 {
                events.push(one.event.clone());
            }
        }
        events
    }};
}

/// Removes old attempts and dead letters.
macro_rules! prune {
    ($conn:expr, $pruned:expr) => {
        for (key, has_many_dead) in &$pruned {
            let kept_dead = has_many_dead.then_some(i64::from(MAX_DEAD_LETTERS));
            for (statement, kept) in [
                (PRUNE_ATTEMPTS, Some(KEPT_ATTEMPTS)),
                (PRUNE_DEAD_LETTERS, kept_dead),
            ] {
                let Some(kept) = kept else { continue };
                bound_query!(
                    statement,
                    Text: key.organization.as_str(),
                    Text: key.webhook.as_str(),
                    BigInt: kept
                )
                .execute($conn)
                .await?;
            }
        }
    };
}

impl Database {
    /// Writes flushes whose leases are held, in one transaction; returns their webhooks.
    pub(crate) async fn write_flushes(
        &self,
        flushes: Vec<DeliveryFlush>,
    ) -> Result<BTreeSet<WebhookKey>, StoreError> {
        let cursors: Vec<_> = flushes.iter().map(CursorRow::new).collect::<Result<_, _>>()?;
        let cursors = to_json("webhook_cursors", &cursors)?;
        let disabled = flushes.iter().filter_map(|flush| Disablement::of(flush).transpose());
        let disabled: Vec<_> = disabled.collect::<Result<_, _>>()?;
        let (kind, statement) = (self.kind(), flush_statement(self.kind()));
        with_transaction!(self, by_keys, |conn| {
            let mut events = disable!(conn, kind, disabled);
            let found: Vec<WebhookKeyRow> =
                bound_query!(&statement, Text: &cursors).load(conn).await?;
            let written: BTreeSet<_> =
                found.iter().map(WebhookKeyRow::key).collect::<Result<_, StoreError>>()?;
            let rows = LeasedRows::of(&flushes, &written)?;
            run_list!(conn, kind, end_replays_statement, rows.ended_replays);
            run_list!(conn, kind, remove_retries_statement, rows.removed);
            run_list!(conn, kind, store_retries_statement, rows.retries);
            run_list!(conn, kind, store_dead_letters_statement, rows.dead_letters);
            run_list!(conn, kind, mark_replayed_statement, rows.replayed);
            run_list!(conn, kind, store_attempts_statement, rows.attempts);
            prune!(conn, rows.pruned);
            events.extend(rows.events);
            let events = EventRow::all(&events)?;
            insert_events!(conn, events);
            Ok(written)
        })
    }
}
