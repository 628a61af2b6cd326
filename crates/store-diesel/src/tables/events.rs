//! Implements the event log: pages, newest first.

use async_trait::async_trait;
use diesel::{prelude::*, result::QueryResult};
use diesel_async::RunQueryDsl;
use domain::{
    Event, EventName, Scope,
    ports::{EventLog, EventPage, PortResult},
};

use crate::{
    Database,
    database::statements::with_conn,
    rows::{event::EventRow, readable::fill_page},
    schema::events,
    scope::{self, ScopeParams},
};

#[async_trait]
impl EventLog for Database {
    async fn page(&self, scope: &Scope, page: &EventPage) -> PortResult<Vec<Event>> {
        let params = ScopeParams::of(scope);
        let before = page.before.as_ref().map_or_else(|| LAST.to_owned(), ToString::to_string);
        let limit = page.limit;
        let session = page.filter.session.as_ref().map(ToString::to_string);
        let name = page.filter.name.map(EventName::as_str);
        self.run(|database| async move {
            // Four statements instead of one with optional conditions, because each has its index.
            macro_rules! load {
                ($($narrowed:tt)*) => {
                    fill_page!(
                        limit,
                        before,
                        |before, row_limit| with_conn!(database, read, |conn| {
                            let rows: QueryResult<Vec<EventRow>> =
                                scope::event_page(&params, &before)
                                    $($narrowed)*
                                    .select(EventRow::as_select())
                                    .limit(row_limit)
                                    .load(conn)
                                    .await;
                            rows
                        })?,
                        |row: &EventRow| row.id.clone()
                    )
                };
            }
            let page = match (&session, name) {
                (None, None) => load!(),
                (Some(session), None) => load!(.filter(events::session.eq(session))),
                (None, Some(name)) => load!(.filter(events::name.eq(name))),
                (Some(session), Some(name)) => {
                    load!(.filter(events::session.eq(session)).filter(events::name.eq(name)))
                }
            };
            Ok(page)
        })
        .await
    }
}

/// Sorts after the id of every event.
const LAST: &str = "evt_~";
