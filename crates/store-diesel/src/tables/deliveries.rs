//! Implements the store of deliveries.
//!
//! Decision: ADR 0044.

use std::collections::BTreeSet;

use async_trait::async_trait;
use diesel::{
    OptionalExtension, QueryableByName,
    prelude::*,
    sql_types::{BigInt, Bool, Text},
};
use diesel_async::RunQueryDsl;
use domain::{
    Claimed, DeliveryFlush, FeedEvent, FeedPage, FeedPosition, LeaseClaim, LeasedWebhook,
    LookupRange, OrganizationId, RetryQueue, Timestamp, Webhook, WebhookId, WebhookKey,
    ports::{DeliveryStore, PortResult},
};
use futures_util::future::BoxFuture;

use crate::{
    Database, StoreError,
    database::statements::{with_conn, with_transaction},
    rows::{
        column::{from_bigint, to_bigint, to_json},
        delivery_flush::KeyRow,
        event::EventRow,
        readable::skip_unreadable,
        retry_queue::RetryQueueRow,
        webhook::WebhookRow,
        webhook_progress::ProgressColumns,
    },
    schema::{events, webhook_cursors, webhook_dead_letters},
    scope::{
        ScopeParams,
        bound_query::{bound_query, prepared_query},
        deliveries as scope, webhooks as owned,
    },
};

/// The key of a webhook.
#[derive(QueryableByName)]
pub(crate) struct WebhookKeyRow {
    #[diesel(sql_type = Text)]
    organization: String,
    #[diesel(sql_type = Text)]
    webhook: String,
}

/// A webhook that may be behind.
#[derive(QueryableByName)]
struct ExaminedKey {
    #[diesel(embed)]
    key: WebhookKeyRow,
    #[diesel(sql_type = Bool)]
    found: bool,
}

impl WebhookKeyRow {
    pub(crate) fn key(&self) -> Result<WebhookKey, StoreError> {
        let organization = OrganizationId::parse(&self.organization);
        let webhook = WebhookId::parse(&self.webhook);
        match (organization, webhook) {
            (Some(organization), Some(webhook)) => Ok(WebhookKey { organization, webhook }),
            _ => Err(StoreError::corrupt("webhook_cursors.webhook", &self.webhook)),
        }
    }

    fn keys(found: &[Self]) -> Vec<WebhookKey> {
        found.iter().map(Self::key).filter_map(skip_unreadable).collect()
    }
}

#[async_trait]
impl DeliveryStore for Database {
    async fn live_webhooks(
        &self,
        after: Option<&WebhookId>,
        limit: u32,
    ) -> PortResult<(Vec<Webhook>, Option<WebhookId>)> {
        let after = after.map_or_else(String::new, ToString::to_string);
        self.run(|database| async move {
            let rows: Vec<WebhookRow> = with_conn!(database, feed, |conn| {
                let page = scope::live_webhooks(&after).select(WebhookRow::as_select());
                page.limit(i64::from(limit)).load(conn).await
            })?;
            let full = u32::try_from(rows.len()).is_ok_and(|count| count >= limit);
            let last = rows.last().filter(|_| full).map(|row| row.immutable.id.clone());
            let next = last.map(|id| {
                WebhookId::parse(&id).ok_or_else(|| StoreError::corrupt("webhooks.id", &id))
            });
            Ok((readable(rows), next.transpose()?))
        })
        .await
    }

    async fn live_webhooks_of(&self, organization: &OrganizationId) -> PortResult<Vec<Webhook>> {
        let organization = organization.to_string();
        self.run(|database| async move {
            let rows: Vec<WebhookRow> = with_conn!(database, read, |conn| {
                let own = scope::live_webhooks_of(&organization);
                own.select(WebhookRow::as_select()).load(conn).await
            })?;
            Ok(readable(rows))
        })
        .await
    }

    async fn behind(
        &self,
        after: Option<&WebhookKey>,
        now: Timestamp,
        limit: u32,
    ) -> PortResult<(Vec<WebhookKey>, Option<WebhookKey>)> {
        let (organization, webhook) = match after {
            Some(key) => (key.organization.to_string(), key.webhook.to_string()),
            None => (String::new(), String::new()),
        };
        self.run(|database| async move {
            let (now, most) = (now.millis(), i64::from(limit));
            let rows: Vec<ExaminedKey> = with_conn!(database, feed, |conn| {
                prepared_query!(
                    scope::BEHIND,
                    Text: &organization,
                    Text: &webhook,
                    BigInt: now,
                    BigInt: most
                )
                .load(conn)
                .await
            })?;
            let full = u32::try_from(rows.len()).is_ok_and(|count| count >= limit);
            let next = rows.last().filter(|_| full).map(|last| last.key.key()).transpose()?;
            let found: Vec<_> =
                rows.into_iter().filter(|row| row.found).map(|row| row.key).collect();
            Ok((WebhookKeyRow::keys(&found), next))
        })
        .await
    }

    async fn due_webhooks(&self, now: Timestamp, limit: u32) -> PortResult<Vec<WebhookKey>> {
        self.run(|database| async move {
            let (now, most) = (now.millis(), i64::from(limit));
            let found: Vec<WebhookKeyRow> = with_conn!(database, feed, |conn| {
                prepared_query!(scope::DUE, BigInt: now, BigInt: most).load(conn).await
            })?;
            Ok(WebhookKeyRow::keys(&found))
        })
        .await
    }

    async fn claim(&self, claim: &LeaseClaim, keys: &[WebhookKey]) -> PortResult<Vec<Claimed>> {
        let list: Vec<_> = keys.iter().map(KeyRow::new).collect();
        let list = to_json("webhook_cursors", &list)?;
        let (claim, keys) = (claim.clone(), keys.to_vec());
        self.run(|database| async move {
            let statement = scope::claim_statement(database.kind());
            let (until, now) = (claim.until.millis(), claim.now.millis());
            let found: Vec<WebhookKeyRow> = with_transaction!(database, by_keys, |conn| {
                let query = bound_query!(
                    &statement,
                    Text: &list,
                    Text: &claim.holder,
                    BigInt: until,
                    BigInt: now
                );
                Ok(query.load(conn).await?)
            })?;
            let held: BTreeSet<_> = WebhookKeyRow::keys(&found).into_iter().collect();
            let mut claimed = Vec::new();
            for key in keys {
                let one = if held.contains(&key) {
                    let leased = database.read_leased(&key).await;
                    let leased = leased.transpose().and_then(skip_unreadable);
                    leased.map(|leased| Claimed::Held(Box::new(leased)))
                } else {
                    database.leased_until(&key).await?.map(|until| Claimed::Busy(key, until))
                };
                claimed.extend(one);
            }
            Ok(claimed)
        })
        .await
    }

    async fn leased_webhook(&self, key: &WebhookKey) -> PortResult<Option<LeasedWebhook>> {
        let key = key.clone();
        self.run(|database| async move { database.read_leased(&key).await }).await
    }

    async fn flush(&self, flushes: &[DeliveryFlush]) -> PortResult<BTreeSet<WebhookKey>> {
        let flushes = flushes.to_vec();
        self.run(|database| async move { database.write_flushes(flushes).await }).await
    }

    async fn events_in(
        &self,
        organization: &OrganizationId,
        range: &LookupRange,
        limit: u32,
    ) -> PortResult<Vec<FeedEvent>> {
        let (organization, range) = (organization.to_string(), range.clone());
        let rows = self
            .run(|database| async move {
                database.event_rows(&organization, &range, i64::from(limit)).await
            })
            .await?;
        self.whole_events(rows).await
    }

    async fn dead_events(
        &self,
        key: &WebhookKey,
        after: FeedPosition,
        until: FeedPosition,
        limit: u32,
    ) -> PortResult<FeedPage> {
        let (organization, webhook) = (key.organization.to_string(), key.webhook.to_string());
        let (first, last) = (column(after)?, column(until)?);
        let (rows, end) = self
            .run(|database| async move {
                let positions: Vec<i64> = with_conn!(database, feed, |conn| {
                    scope::dead_in_order(&organization, &webhook, first, last)
                        .select(webhook_dead_letters::position)
                        .limit(i64::from(limit))
                        .load(conn)
                        .await
                })?;
                let full = u32::try_from(positions.len()).is_ok_and(|count| count >= limit);
                let end = positions.last().copied().filter(|_| full).unwrap_or(last);
                let mut rows: Vec<(i64, EventRow)> = with_conn!(database, feed, |conn| {
                    scope::events_at(&organization, &positions)
                        .select((events::position, EventRow::as_select()))
                        .load(conn)
                        .await
                })?;
                rows.sort_by_key(|(position, _)| *position);
                Ok((rows, end))
            })
            .await?;
        let end = from_bigint(end).unwrap_or(until.number());
        let events = self.whole_events(rows).await?;
        Ok(FeedPage { events, until: FeedPosition::from_number(end) })
    }
}

fn readable(rows: Vec<WebhookRow>) -> Vec<Webhook> {
    rows.into_iter().map(Webhook::try_from).filter_map(skip_unreadable).collect()
}

fn column(position: FeedPosition) -> Result<i64, StoreError> {
    to_bigint("events.position", position.number())
}

impl Database {
    /// Ends the leases of all webhooks. The caller knows that the processes that held the leases have
    /// ended. Returns the number of leases.
    ///
    /// # Errors
    /// *Unavailable* when the database does not answer in time.
    pub async fn end_webhook_leases(&self, now: Timestamp) -> PortResult<usize> {
        self.run(move |database| async move {
            with_conn!(database, write, |conn| {
                bound_query!(scope::END_LEASES, BigInt: now.millis()).execute(conn).await
            })
        })
        .await
    }

    fn read_leased<'a>(
        &'a self,
        key: &'a WebhookKey,
    ) -> BoxFuture<'a, Result<Option<LeasedWebhook>, StoreError>> {
        let (params, id) =
            (ScopeParams::of_organization(&key.organization), key.webhook.to_string());
        Box::pin(async move {
            let webhook: Option<WebhookRow> = with_conn!(self, read, |conn| {
                let webhook = owned::webhook(&params, &id).select(WebhookRow::as_select());
                webhook.get_result(conn).await.optional()
            })?;
            let cursor: Option<(i64, ProgressColumns)> = with_conn!(self, read, |conn| {
                owned::cursor(&params, &id)
                    .select((webhook_cursors::epoch, ProgressColumns::as_select()))
                    .get_result(conn)
                    .await
                    .optional()
            })?;
            let retries: Vec<RetryQueueRow> = with_conn!(self, read, |conn| {
                let retries = owned::retries(&params, &id).select(RetryQueueRow::as_select());
                retries.load(conn).await
            })?;
            let (Some(webhook), Some((epoch, progress))) = (webhook, cursor) else {
                return Ok(None);
            };
            let retries: Result<Vec<RetryQueue>, _> =
                retries.into_iter().map(RetryQueue::try_from).collect();
            let epoch = from_bigint(epoch)
                .ok_or_else(|| StoreError::corrupt("webhook_cursors.epoch", &id))?;
            Ok(Some(LeasedWebhook {
                webhook: webhook.try_into()?,
                epoch,
                progress: progress.progress(&id)?,
                retries: retries?,
            }))
        })
    }

    fn leased_until<'a>(
        &'a self,
        key: &'a WebhookKey,
    ) -> BoxFuture<'a, Result<Option<Timestamp>, StoreError>> {
        let (params, id) =
            (ScopeParams::of_organization(&key.organization), key.webhook.to_string());
        Box::pin(async move {
            let until: Option<i64> = with_conn!(self, read, |conn| {
                let cursor = owned::cursor(&params, &id).select(webhook_cursors::leased_until);
                cursor.get_result(conn).await.optional()
            })?;
            Ok(until.map(Timestamp::from_millis))
        })
    }

    fn event_rows<'a>(
        &'a self,
        organization: &'a str,
        range: &'a LookupRange,
        limit: i64,
    ) -> BoxFuture<'a, Result<Vec<(i64, EventRow)>, StoreError>> {
        Box::pin(async move {
            match range {
                LookupRange::Event(position) => {
                    let position = column(*position)?;
                    with_conn!(self, feed, |conn| {
                        scope::event_at(organization, position)
                            .select((events::position, EventRow::as_select()))
                            .load(conn)
                            .await
                    })
                }
                LookupRange::Session { session, stream, after } => {
                    let (session, after) =
                        (session.as_str(), to_bigint("events.sequence", *after)?);
                    with_conn!(self, feed, |conn| {
                        let stream = stream.as_str();
                        let events = scope::session_events(organization, session, stream, after);
                        events
                            .select((events::position, EventRow::as_select()))
                            .limit(limit)
                            .load(conn)
                            .await
                    })
                }
                LookupRange::Organization { after, until } => {
                    let (after, until) = (column(*after)?, column(*until)?);
                    with_conn!(self, feed, |conn| {
                        let events = scope::organization_events(organization, after, until);
                        events
                            .select((events::position, EventRow::as_select()))
                            .limit(limit)
                            .load(conn)
                            .await
                    })
                }
            }
        })
    }
}
