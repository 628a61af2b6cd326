//! Removes expired rows and codes, in statements that change a bounded number of rows.

use diesel::{
    OptionalExtension, QueryableByName,
    prelude::*,
    sql_types::{BigInt, Text},
};
use diesel_async::RunQueryDsl;
use domain::{EventName, EventPayload, Timestamp};
use futures_util::future::BoxFuture;

use crate::{
    Database, StoreError,
    database::statements::{with_conn, with_transaction},
    rows::{
        event::{payload_of, payload_text},
        readable::skip_unreadable,
    },
    schema::{api_keys, events, receipts},
    scope::{self, EVENTS_WITH_CODES, bound_query::bound_query},
    tables::{marks::SET_MARK, remove_oldest::remove_oldest},
};

/// Name of the mark that stores the position up to which codes are blanked.
const CODES_MARK: &str = "codes";

/// An event whose payload contains a code.
#[derive(QueryableByName)]
struct EventWithCode {
    #[diesel(sql_type = Text)]
    organization: String,
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = BigInt)]
    at: i64,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    payload: String,
}

impl EventWithCode {
    fn payload(&self) -> Result<EventPayload, StoreError> {
        let corrupt = |column| StoreError::corrupt(column, &self.id);
        let name = EventName::parse(&self.name).ok_or_else(|| corrupt("events.name"))?;
        payload_of(name, &self.payload).ok_or_else(|| corrupt("events.payload"))
    }
}

impl Database {
    /// Removes expired idempotency records; returns the number of removed rows.
    pub(crate) async fn remove_idempotency_records(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<u32, StoreError> {
        let (now, expires_at) = (now.millis(), receipts::expires_at);
        Ok(remove_oldest!(self, limit, now, expires_at, scope::expired_idempotency_records))
    }

    /// Removes keys that were revoked or expired before a time; returns the number of removed rows.
    pub(crate) async fn remove_keys(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<u32, StoreError> {
        let (before, limit) = (before.millis(), i64::from(limit));
        let mut ids: Vec<String> = with_conn!(self, read, |conn| {
            scope::keys_revoked_before(before).select(api_keys::id).limit(limit).load(conn).await
        })?;
        let remaining = limit - i64::try_from(ids.len()).unwrap_or(limit);
        let expired: Vec<String> = with_conn!(self, read, |conn| {
            scope::keys_expired_before(before)
                .select(api_keys::id)
                .limit(remaining)
                .load(conn)
                .await
        })?;
        ids.extend(expired);
        if ids.is_empty() {
            return Ok(0);
        }
        let removed = with_conn!(self, write, |conn| {
            diesel::delete(scope::ended_keys(&ids, before)).execute(conn).await
        })?;
        Ok(u32::try_from(removed).unwrap_or(u32::MAX))
    }

    /// Blanks codes that expired before a time; returns the number of examined events.
    pub(crate) async fn blank_dead_codes(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<u32, StoreError> {
        let (mut blanked, mut last, mut examined) = (Vec::new(), None, 0);
        for row in self.events_with_codes(before.millis(), i64::from(limit)).await? {
            let mut payload = skip_unreadable(row.payload());
            let expires_at = payload.as_ref().and_then(EventPayload::code_expires_at);
            // Events are in the order of creation, which differs from the order of expiry by a few
            // minutes at most.
            if expires_at.is_some_and(|at| at > before) {
                break;
            }
            (last, examined) = (Some((row.at, row.id.clone())), examined + 1);
            if let Some(payload) = &mut payload
                && payload.blank_code()
            {
                blanked.push((row.organization, row.id, payload_text(payload)?));
            }
        }
        if let Some((at, id)) = last {
            self.write_blanked_events(blanked, at, id).await?;
        }
        Ok(examined)
    }

    /// Returns the next events with codes, oldest first.
    fn events_with_codes(
        &self,
        before: i64,
        limit: i64,
    ) -> BoxFuture<'_, Result<Vec<EventWithCode>, StoreError>> {
        Box::pin(async move {
            let (at, id) = self.mark(CODES_MARK).await?.unwrap_or((i64::MIN, String::new()));
            with_conn!(self, read, |conn| {
                bound_query!(EVENTS_WITH_CODES, BigInt: at, Text: &id, BigInt: before, BigInt: limit)
                    .load(conn)
                    .await
            })
        })
    }

    /// Writes the blanked payloads, and the position up to which codes are blanked.
    fn write_blanked_events(
        &self,
        blanked: Vec<(String, String, String)>,
        at: i64,
        id: String,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            with_transaction!(self, |conn| {
                for (organization, id, payload) in &blanked {
                    diesel::update(scope::any_event(organization, id))
                        .set(events::payload.eq(payload))
                        .execute(conn)
                        .await?;
                }
                bound_query!(SET_MARK, Text: CODES_MARK, BigInt: at, Text: &id)
                    .execute(conn)
                    .await?;
                Ok(())
            })
        })
    }
}
