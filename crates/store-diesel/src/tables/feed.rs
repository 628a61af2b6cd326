//! Implements the feed: events in the order of their positions.
//!
//! Decision: ADR 0037.

use async_trait::async_trait;
use diesel::{OptionalExtension, QueryableByName, prelude::*, sql_types::BigInt};
use diesel_async::RunQueryDsl;
use domain::{
    Event, EventId, FeedEvent, FeedFloor, FeedHorizon, FeedPage, FeedPosition, Scope,
    ports::{Feed, OrganizationFeed, PortResult},
};

use crate::{
    Database, StoreError,
    database::{pools::Pools, statements::with_conn},
    rows::{
        column::{from_bigint, to_bigint},
        event::EventRow,
        readable::skip_unreadable,
    },
    schema::{events, feed_floors},
    scope::{ScopeParams, feed, feed::PositionRange},
};

/// How far the feed can be read.
#[derive(QueryableByName)]
struct HorizonRow {
    #[diesel(sql_type = BigInt)]
    safe: i64,
    #[diesel(sql_type = BigInt)]
    newest: i64,
}

/// One writer commits at a time on SQLite, so every position that a reader sees is safe.
const SQLITE_HORIZON: &str =
    "SELECT seq AS safe, seq AS newest FROM (SELECT coalesce(max(seq), 0) AS seq
    FROM sqlite_sequence WHERE name = 'events')";

/// The migration that creates the function explains why the position is safe.
const POSTGRES_HORIZON: &str = "SELECT safe, newest FROM feed_horizon()";

#[async_trait]
impl Feed for Database {
    async fn horizon(&self) -> PortResult<FeedHorizon> {
        let row: HorizonRow = self
            .run(|database| async move {
                let text = match &database.pools {
                    Pools::Sqlite(_) => SQLITE_HORIZON,
                    Pools::Postgres(_) => POSTGRES_HORIZON,
                };
                with_conn!(database, read, |conn| diesel::sql_query(text).get_result(conn).await)
            })
            .await?;
        Ok(FeedHorizon { safe: position(row.safe)?, newest: position(row.newest)? })
    }

    async fn events_of_all(
        &self,
        after: FeedPosition,
        until: FeedPosition,
        limit: u32,
    ) -> PortResult<Vec<FeedEvent>> {
        let range = range(after, until)?;
        let rows: Vec<(i64, EventRow)> = self
            .run(|database| async move {
                with_conn!(database, read, |conn| {
                    feed::feed_of_all(range)
                        .select((events::position, EventRow::as_select()))
                        .limit(i64::from(limit))
                        .load(conn)
                        .await
                })
            })
            .await?;
        Ok(feed_events(rows))
    }
}

#[async_trait]
impl OrganizationFeed for Database {
    async fn feed_page(
        &self,
        scope: &Scope,
        after: FeedPosition,
        until: FeedPosition,
        limit: u32,
    ) -> PortResult<FeedPage> {
        let params = ScopeParams::of(scope);
        let range = range(after, until)?;
        let last_index = i64::from(limit.max(1)) - 1;
        let (end, rows) = self
            .run(|database| async move {
                // The end is counted over all events of the organization, so that a page for few
                // sessions among many examines a bounded number of rows.
                let end: Option<i64> = with_conn!(database, read, |conn| {
                    feed::feed_of_organization(&params, range)
                        .select(events::position)
                        .offset(last_index)
                        .limit(1)
                        .get_result(conn)
                        .await
                        .optional()
                })?;
                let end = end.unwrap_or(range.until);
                let range = PositionRange { until: end, ..range };
                let rows: Vec<(i64, EventRow)> = with_conn!(database, read, |conn| {
                    feed::feed_page(&params, range)
                        .select((events::position, EventRow::as_select()))
                        .load(conn)
                        .await
                })?;
                Ok((end, rows))
            })
            .await?;
        Ok(FeedPage { events: feed_events(rows), until: position(end)? })
    }

    async fn position_of(
        &self,
        scope: &Scope,
        event: &EventId,
    ) -> PortResult<Option<FeedPosition>> {
        let (params, id) = (ScopeParams::of(scope), event.to_string());
        let (found, floor): (Option<i64>, Option<i64>) = self
            .run(|database| async move {
                let found = with_conn!(database, read, |conn| {
                    feed::feed_event(&params, &id)
                        .select(events::position)
                        .get_result(conn)
                        .await
                        .optional()
                })?;
                let floor = with_conn!(database, read, |conn| {
                    feed::feed_floor(&params)
                        .select(feed_floors::position)
                        .get_result(conn)
                        .await
                        .optional()
                })?;
                Ok((found, floor))
            })
            .await?;
        let remaining = found.filter(|found| floor.is_none_or(|floor| *found > floor));
        Ok(remaining.map(position).transpose()?)
    }

    async fn floor(&self, scope: &Scope) -> PortResult<FeedFloor> {
        let params = ScopeParams::of(scope);
        let (floor, oldest): (Option<i64>, Option<String>) = self
            .run(|database| async move {
                let floor: Option<i64> = with_conn!(database, read, |conn| {
                    feed::feed_floor(&params)
                        .select(feed_floors::position)
                        .get_result(conn)
                        .await
                        .optional()
                })?;
                let range = PositionRange { after: floor.unwrap_or(0), until: i64::MAX };
                let oldest = with_conn!(database, read, |conn| {
                    feed::feed_page(&params, range)
                        .select(events::id)
                        .limit(1)
                        .get_result(conn)
                        .await
                        .optional()
                })?;
                Ok((floor, oldest))
            })
            .await?;
        let oldest = oldest.as_deref().and_then(EventId::parse);
        Ok(FeedFloor { position: position(floor.unwrap_or(0))?, oldest })
    }
}

fn range(after: FeedPosition, until: FeedPosition) -> Result<PositionRange, StoreError> {
    Ok(PositionRange {
        after: to_bigint("events.position", after.number())?,
        until: to_bigint("events.position", until.number())?,
    })
}

fn position(number: i64) -> Result<FeedPosition, StoreError> {
    let number = from_bigint(number).ok_or_else(|| StoreError::corrupt("events.position", ""))?;
    Ok(FeedPosition::from_number(number))
}

fn feed_events(rows: Vec<(i64, EventRow)>) -> Vec<FeedEvent> {
    let event = |(number, row): (i64, EventRow)| {
        let event = position(number)
            .and_then(|position| Ok(FeedEvent { position, event: Event::try_from(row)? }));
        skip_unreadable(event)
    };
    rows.into_iter().filter_map(event).collect()
}
