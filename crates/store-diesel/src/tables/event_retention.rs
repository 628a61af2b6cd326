//! Removes old events: first from the feed, and later from the audit log.
//!
//! Decision: ADR 0041.

use diesel::{
    OptionalExtension,
    prelude::*,
    sql_types::{BigInt, Text},
};
use diesel_async::RunQueryDsl;
use domain::{EventName, Timestamp, ports::Feed};
use futures_util::future::BoxFuture;

use crate::{
    Database, StoreError,
    database::statements::{with_conn, with_transaction},
    rows::column::to_bigint,
    schema::events,
    scope::{
        bound_query::bound_query,
        feed::{
            DELETE_FROM_AUDIT, MOVE_FLOORS, NEXT_ORGANIZATION, PositionRange, feed_of_all,
            feed_only_events,
        },
        round_robin::RowId,
    },
};

/// Name of the mark that stores the position up to which the feed is pruned, in `at`.
const FEED_MARK: &str = "feed";
/// Moves the mark of the feed. Of two routers, the one that is further counts. Parameter: the
/// position.
const MOVE_FEED_MARK: &str = "INSERT INTO marks (name, at, id) VALUES ('feed', $1, '')
    ON CONFLICT (name) DO UPDATE SET at = excluded.at WHERE excluded.at > marks.at";
/// Name of the mark that stores the organization whose audit events were pruned last, in `id`.
const AUDIT_MARK: &str = "audit";

impl Database {
    /// See [`prune_feed`](domain::ports::WorkerStore::prune_feed).
    pub(crate) async fn remove_from_feed(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<u32, StoreError> {
        let safe =
            self.horizon().await.map_err(|error| StoreError::Unavailable(error.into()))?.safe;
        let after = self.mark(FEED_MARK).await?.map_or(0, |(position, _)| position);
        let range = PositionRange { after, until: to_bigint("events.position", safe.number())? };
        // One event more: either that one or the newest of all stays.
        let rows: Vec<(i64, i64)> = with_conn!(self, feed, |conn| {
            feed_of_all(range)
                .select((events::position, events::at))
                .limit(i64::from(limit) + 1)
                .load(conn)
                .await
        })?;
        let candidates = &rows[..rows.len().saturating_sub(1)];
        let old = candidates.iter().take_while(|(_, at)| *at < before.millis());
        let old: Vec<i64> = old.map(|(position, _)| *position).collect();
        if let Some(last) = old.last() {
            self.move_floors(PositionRange { after, until: *last }).await?;
        }
        Ok(u32::try_from(old.len()).unwrap_or(u32::MAX))
    }

    /// Removes the events of a range from the feed. Readers that find the old floor find every event
    /// above it.
    fn move_floors(&self, range: PositionRange) -> BoxFuture<'_, Result<(), StoreError>> {
        let kinds = EventName::ALL.into_iter().filter(|name| !name.is_retained_for_audit());
        let kinds: Vec<_> = kinds.map(EventName::as_str).collect();
        Box::pin(async move {
            with_transaction!(self, |conn| {
                bound_query!(MOVE_FLOORS, BigInt: range.after, BigInt: range.until)
                    .execute(conn)
                    .await?;
                diesel::delete(feed_only_events(range, &kinds)).execute(conn).await?;
                bound_query!(MOVE_FEED_MARK, BigInt: range.until).execute(conn).await?;
                Ok(())
            })
        })
    }

    /// See [`prune_audit`](domain::ports::WorkerStore::prune_audit).
    pub(crate) async fn remove_from_audit(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Option<u32>, StoreError> {
        let after = self.mark(AUDIT_MARK).await?.map_or_else(String::new, |(_, id)| id);
        let next: Option<RowId> = with_conn!(self, read, |conn| {
            bound_query!(NEXT_ORGANIZATION, Text: &after).get_result(conn).await.optional()
        })?;
        let Some(RowId { id: organization }) = next else {
            self.set_mark(AUDIT_MARK, String::new()).await?;
            return Ok(None);
        };
        let (id, most) = (organization.clone(), i64::from(limit));
        let removed = with_conn!(self, write, |conn| {
            bound_query!(DELETE_FROM_AUDIT, Text: &id, BigInt: most, BigInt: before.millis())
                .execute(conn)
                .await
        })?;
        let removed = u32::try_from(removed).unwrap_or(u32::MAX);
        if removed < limit {
            self.set_mark(AUDIT_MARK, organization).await?;
        }
        Ok(Some(removed))
    }
}
