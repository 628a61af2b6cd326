//! Implements the feed: events in the order of their positions.
//!
//! Decision: ADR 0037.

use async_trait::async_trait;
use diesel::{OptionalExtension, QueryableByName, prelude::*, sql_types::BigInt};
use diesel_async::RunQueryDsl;
use domain::{
    Event, EventId, EventStream, FeedEvent, FeedFloor, FeedHorizon, FeedPage, FeedPosition,
    FeedRights,
    ports::{Feed, OrganizationFeed, PortResult},
};

use futures_util::future::BoxFuture;

use crate::{
    Database, DatabaseKind, StoreError,
    database::statements::with_conn,
    rows::{
        column::{from_bigint, to_bigint},
        event::EventRow,
        readable::skip_unreadable,
    },
    schema::{events, feed_floors},
    scope::{
        bound_query::BoundQuery,
        feed::{self, FeedParams, POSTGRES_HORIZON, PositionRange, SQLITE_HORIZON},
    },
};

/// How far the feed can be read.
#[derive(QueryableByName)]
struct HorizonRow {
    #[diesel(sql_type = BigInt)]
    safe: i64,
    #[diesel(sql_type = BigInt)]
    newest: i64,
}

#[async_trait]
impl Feed for Database {
    async fn horizon(&self) -> PortResult<FeedHorizon> {
        let row: HorizonRow = self
            .run(|database| async move {
                let text = match database.kind() {
                    DatabaseKind::Sqlite => SQLITE_HORIZON,
                    DatabaseKind::Postgres => POSTGRES_HORIZON,
                };
                with_conn!(database, feed, |conn| {
                    BoundQuery::new(text).prepared().get_result(conn).await
                })
            })
            .await?;
        Ok(FeedHorizon { safe: position(row.safe)?, newest: position(row.newest)? })
    }

    async fn page_of_all(
        &self,
        after: FeedPosition,
        until: FeedPosition,
        limit: u32,
    ) -> PortResult<FeedPage> {
        let range = range(after, until)?;
        let rows: Vec<(i64, EventRow)> = self
            .run(|database| async move {
                with_conn!(database, feed, |conn| {
                    feed::feed_of_all(range)
                        .select((events::position, EventRow::as_select()))
                        .limit(i64::from(limit))
                        .load(conn)
                        .await
                })
            })
            .await?;
        let full = u32::try_from(rows.len()).is_ok_and(|count| count >= limit);
        let until = match rows.last() {
            Some((last, _)) if full => position(*last)?,
            _ => until,
        };
        Ok(FeedPage { events: self.whole_events(rows).await?, until })
    }
}

#[async_trait]
impl OrganizationFeed for Database {
    async fn feed_page(
        &self,
        rights: &FeedRights,
        after: FeedPosition,
        until: FeedPosition,
        limit: u32,
    ) -> PortResult<Option<FeedPage>> {
        let feed = FeedParams::of(rights);
        let range = range(after, until)?;
        let last_index = i64::from(limit.max(1)) - 1;
        let found = self
            .run(|database| async move {
                // The end is counted over all events of the organization, so that a page for few
                // sessions among many examines a bounded number of rows.
                let end: Option<i64> = with_conn!(database, feed, |conn| {
                    feed::feed_of_organization(&feed, range)
                        .select(events::position)
                        .offset(last_index)
                        .limit(1)
                        .get_result(conn)
                        .await
                        .optional()
                })?;
                let end = end.unwrap_or(range.until);
                let range = PositionRange { until: end, ..range };
                let rows: Vec<(i64, EventRow)> = with_conn!(database, feed, |conn| {
                    feed::feed_page(&feed, range)
                        .select((events::position, EventRow::as_select()))
                        .load(conn)
                        .await
                })?;
                // Read after the events: retention moves the floor in the transaction that removes
                // events, so a page that misses an event finds the new floor.
                let floor = database.feed_floor(&feed).await?;
                Ok((floor <= range.after).then_some((end, rows)))
            })
            .await?;
        let Some((end, rows)) = found else { return Ok(None) };
        Ok(Some(FeedPage { events: self.whole_events(rows).await?, until: position(end)? }))
    }

    async fn position_of(
        &self,
        rights: &FeedRights,
        event: &EventId,
    ) -> PortResult<Option<FeedPosition>> {
        let (feed, id) = (FeedParams::of(rights), event.to_string());
        let (found, floor): (Option<i64>, i64) = self
            .run(|database| async move {
                let mut found: Option<i64> = None;
                for stream in EventStream::ALL.map(EventStream::as_str) {
                    let position = with_conn!(database, feed, |conn| {
                        feed::feed_event(&feed, stream, &id)
                            .select(events::position)
                            .get_result(conn)
                            .await
                            .optional()
                    })?;
                    found = found.or(position);
                }
                Ok((found, database.feed_floor(&feed).await?))
            })
            .await?;
        Ok(found.filter(|found| *found > floor).map(position).transpose()?)
    }

    async fn floor(&self, rights: &FeedRights) -> PortResult<FeedFloor> {
        let feed = FeedParams::of(rights);
        let (floor, oldest): (i64, Option<String>) = self
            .run(|database| async move {
                let floor = database.feed_floor(&feed).await?;
                let range = PositionRange { after: floor, until: i64::MAX };
                let oldest = with_conn!(database, feed, |conn| {
                    feed::feed_page(&feed, range)
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
        Ok(FeedFloor { position: position(floor)?, oldest })
    }
}

impl Database {
    /// Returns the readable events of rows, with the content of their messages.
    pub(crate) async fn whole_events(
        &self,
        rows: Vec<(i64, EventRow)>,
    ) -> PortResult<Vec<FeedEvent>> {
        let events = feed_events(rows);
        if events.iter().all(|found| found.event.payload.message().is_none()) {
            return Ok(events);
        }
        self.run(|database| async move { database.with_contents(events).await }).await
    }

    /// Returns the position up to which the organization's events were removed; 0 before the first
    /// removal.
    fn feed_floor<'a>(&'a self, feed: &'a FeedParams) -> BoxFuture<'a, Result<i64, StoreError>> {
        Box::pin(async move {
            let floor = with_conn!(self, feed, |conn| {
                feed::feed_floor(feed)
                    .select(feed_floors::position)
                    .get_result(conn)
                    .await
                    .optional()
            })?;
            Ok(floor.unwrap_or(0))
        })
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
