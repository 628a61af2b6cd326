//! Implements the store of webhooks for their owners.
//!
//! Decision: ADR 0043.

use async_trait::async_trait;
use diesel::{
    OptionalExtension,
    dsl::{count_star, min},
    prelude::*,
};
use diesel_async::RunQueryDsl;
use domain::{
    AttemptId, AttemptRecord, Commit, DeadLetter, EventId, EventStream, FeedPosition,
    ProgressReport, RetrySummary, Scope, Timestamp, Webhook, WebhookId, WebhookWrite,
    ports::{CommitOutcome, PortResult, WebhookPage, WebhookStore},
};

use crate::{
    Database, StoreError,
    database::statements::{point_lookup, with_conn},
    rows::{
        column::{from_bigint, timestamp},
        dead_letter::DeadLetterRow,
        event::EventRow,
        readable::fill_page,
        webhook::WebhookRow,
        webhook_attempt::AttemptRow,
        webhook_progress::ProgressColumns,
    },
    schema::{events, webhook_retries},
    scope::{KeysetPosition, ScopeParams, webhooks as scope},
    tables::{
        idempotency_insert::NewIdempotencyRecord,
        transaction::{CallerRows, RowChange, Transaction, belongs_to_scope},
        webhook_writes::WebhookChange,
    },
};

#[async_trait]
impl WebhookStore for Database {
    async fn commit(
        &self,
        scope: &Scope,
        commit: &Commit<WebhookWrite>,
    ) -> PortResult<CommitOutcome> {
        let change = WebhookChange::of(scope, &commit.change)?;
        let organization = match &commit.change {
            WebhookWrite::Insert { webhook, .. } | WebhookWrite::Update { webhook, .. } => {
                &webhook.organization
            }
            _ => scope.organization(),
        };
        let now = Timestamp::from_millis(change.due);
        let caller = CallerRows {
            params: ScopeParams::of(scope),
            limits: self.limits(scope),
            is_own: belongs_to_scope(scope, organization, &commit.events),
            record: NewIdempotencyRecord::of(scope, commit.idempotency.as_ref(), now),
            attempt: None,
        };
        let (change, events) =
            (RowChange::Webhook(Box::new(change)), EventRow::all(&commit.events)?);
        self.run_transaction(Transaction { change, events, caller: Some(caller) }).await
    }

    async fn find(&self, scope: &Scope, id: &WebhookId) -> PortResult<Option<Webhook>> {
        let (params, id) = (ScopeParams::of(scope), id.to_string());
        let row = point_lookup!(self, WebhookRow, scope::webhook(&params, &id))?;
        Ok(row.map(Webhook::try_from).transpose()?)
    }

    async fn list(&self, scope: &Scope, page: &WebhookPage<WebhookId>) -> PortResult<Vec<Webhook>> {
        let (params, limit) = (ScopeParams::of(scope), page.limit);
        let after = KeysetPosition::of(page.after.as_ref());
        self.run(|database| async move {
            let page = fill_page!(
                limit,
                after,
                |after, row_limit| {
                    let rows: Vec<WebhookRow> = with_conn!(database, read, |conn| {
                        scope::webhook_page(&params, &after)
                            .select(WebhookRow::as_select())
                            .limit(row_limit)
                            .load(conn)
                            .await
                    })?;
                    rows
                },
                |row: &WebhookRow| {
                    KeysetPosition::at(row.immutable.created_at, &row.immutable.id)
                }
            );
            Ok(page)
        })
        .await
    }

    async fn progress(&self, scope: &Scope, id: &WebhookId) -> PortResult<Option<ProgressReport>> {
        let (params, id) = (ScopeParams::of(scope), id.to_string());
        self.run(|database| async move {
            let progress: Option<ProgressColumns> = with_conn!(database, read, |conn| {
                let cursor = scope::cursor(&params, &id).select(ProgressColumns::as_select());
                cursor.get_result(conn).await.optional()
            })?;
            let Some(progress) = progress else { return Ok(None) };
            let (queues, next_due, oldest): (i64, Option<i64>, Option<String>) =
                with_conn!(database, read, |conn| {
                    let (due, event) = (min(webhook_retries::due), min(webhook_retries::event));
                    let queues = scope::retries(&params, &id)
                        .filter(diesel::dsl::not(webhook_retries::settled))
                        .select((count_star(), due, event));
                    queues.get_result(conn).await
                })?;
            let corrupt = |column| StoreError::corrupt(column, &id);
            let oldest = oldest.map(|event| {
                EventId::parse(&event).ok_or_else(|| corrupt("webhook_retries.event"))
            });
            Ok(Some(ProgressReport {
                progress: progress.progress(&id)?,
                retries: RetrySummary {
                    queues: from_bigint(queues).ok_or_else(|| corrupt("webhook_retries"))?,
                    next_due: timestamp(next_due),
                },
                oldest_failing: oldest.transpose()?,
            }))
        })
        .await
    }

    async fn attempts(
        &self,
        scope: &Scope,
        id: &WebhookId,
        page: &WebhookPage<AttemptId>,
    ) -> PortResult<Vec<AttemptRecord>> {
        let (params, id, limit) = (ScopeParams::of(scope), id.to_string(), page.limit);
        let after = KeysetPosition::of(page.after.as_ref());
        self.run(|database| async move {
            let page = fill_page!(
                limit,
                after,
                |after, row_limit| {
                    let rows: Vec<AttemptRow> = with_conn!(database, read, |conn| {
                        scope::attempt_page(&params, &id, &after)
                            .select(AttemptRow::as_select())
                            .limit(row_limit)
                            .load(conn)
                            .await
                    })?;
                    rows
                },
                |row: &AttemptRow| KeysetPosition::at(row.at, &row.id)
            );
            Ok(page)
        })
        .await
    }

    async fn dead_letters(
        &self,
        scope: &Scope,
        id: &WebhookId,
        page: &WebhookPage<EventId>,
    ) -> PortResult<Vec<DeadLetter>> {
        let (params, id, limit) = (ScopeParams::of(scope), id.to_string(), page.limit);
        let after = KeysetPosition::of(page.after.as_ref());
        self.run(|database| async move {
            let page = fill_page!(
                limit,
                after,
                |after, row_limit| {
                    let rows: Vec<DeadLetterRow> = with_conn!(database, read, |conn| {
                        scope::dead_letter_page(&params, &id, &after)
                            .select(DeadLetterRow::as_select())
                            .limit(row_limit)
                            .load(conn)
                            .await
                    })?;
                    rows
                },
                |row: &DeadLetterRow| KeysetPosition::at(row.died_at, &row.event)
            );
            Ok(page)
        })
        .await
    }

    async fn first_position(
        &self,
        scope: &Scope,
        from: Timestamp,
    ) -> PortResult<Option<FeedPosition>> {
        let params = ScopeParams::of(scope);
        let millis = u128::try_from(from.millis()).unwrap_or(0);
        let first_id = EventId::from_bits(millis << 80).to_string();
        self.run(|database| async move {
            let mut first: Option<i64> = None;
            for stream in EventStream::ALL.map(EventStream::as_str) {
                let position: Option<i64> = with_conn!(database, read, |conn| {
                    let events = scope::events_from(&params, stream, &first_id);
                    events.select(events::position).first(conn).await.optional()
                })?;
                first = first.into_iter().chain(position).min();
            }
            let position = first.map(|number| {
                from_bigint(number).ok_or_else(|| StoreError::corrupt("events.position", &first_id))
            });
            Ok(position.transpose()?.map(FeedPosition::from_number))
        })
        .await
    }
}
