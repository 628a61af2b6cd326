//! API keys as their owners see them.

use std::collections::BTreeSet;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use domain::{
    ApiKey, Event, IdempotencyRecord, KeyId, Resource, Scope, SessionId, Timestamp,
    ports::{ApiKeyStore, KeyPage, PortResult, Written},
};

use crate::{
    Database, StoreError,
    batch::mutation::insert_events,
    database::statements::{point_lookup, with_conn, with_transaction},
    rows::{api_key::ApiKeyRow, event::EventRow, readable::fill_page, usage::ResourceGrowth},
    schema::{api_keys, sessions},
    scope::{self, KeysetPosition, ScopeParams, counts},
    tables::{
        idempotency::{NewIdempotencyRecord, insert_idempotency_record},
        organization_check::{CROSS_ORGANIZATION_WRITE, belongs_to_scope},
        quotas::{admit, refusal_as_written},
    },
};

#[async_trait]
impl ApiKeyStore for Database {
    async fn sessions_within(
        &self,
        scope: &Scope,
        sessions: &BTreeSet<SessionId>,
    ) -> PortResult<BTreeSet<SessionId>> {
        let params = ScopeParams::of(scope);
        let ids: Vec<_> = sessions.iter().map(ToString::to_string).collect();
        self.run(|database| async move {
            let found: Vec<String> = with_conn!(database, read, |conn| {
                counts::sessions_among(&params, &ids).select(sessions::id).load(conn).await
            })?;
            let parse = |id: &String| {
                SessionId::parse(id).ok_or_else(|| StoreError::corrupt("sessions.id", id))
            };
            found.iter().map(parse).collect()
        })
        .await
    }

    async fn insert(
        &self,
        scope: &Scope,
        key: &ApiKey,
        events: &[Event],
        record: Option<&IdempotencyRecord>,
    ) -> PortResult<Written> {
        if !belongs_to_scope(scope, &key.organization, events) {
            return Err(CROSS_ORGANIZATION_WRITE.into());
        }
        let (row, events) = (ApiKeyRow::new(key)?, EventRow::all(events)?);
        let record = record.map(|record| NewIdempotencyRecord::new(scope, record, key.created_at));
        let (params, limits) = (ScopeParams::of(scope), self.limits(scope));
        let mut growth = ResourceGrowth::default();
        growth.add(Resource::ApiKeys, 1);
        growth.add(
            Resource::IdempotencyRecords,
            record.as_ref().map_or(0, NewIdempotencyRecord::bytes),
        );
        let transaction_permit = self.transaction_permit(&params.organization).await?;
        self.run(|database| async move {
            let written = with_transaction!(database, |conn| {
                if !insert_idempotency_record!(conn, record) {
                    return Ok(Written::Repeated);
                }
                diesel::insert_into(api_keys::table).values(&row).execute(conn).await?;
                insert_events!(conn, events);
                admit!(conn, params, limits, growth);
                Ok(Written::Done)
            });
            drop(transaction_permit);
            refusal_as_written(written)
        })
        .await
    }

    async fn list(&self, scope: &Scope, page: &KeyPage) -> PortResult<Vec<ApiKey>> {
        let (params, limit) = (ScopeParams::of(scope), page.limit);
        let after = KeysetPosition::of(page.after.as_ref());
        self.run(|database| async move {
            let page = fill_page!(
                limit,
                after,
                |after, row_limit| {
                    let rows: Vec<ApiKeyRow> = with_conn!(database, read, |conn| {
                        scope::key_page(&params, &after)
                            .select(ApiKeyRow::as_select())
                            .limit(row_limit)
                            .load(conn)
                            .await
                    })?;
                    rows
                },
                |row: &ApiKeyRow| KeysetPosition::at(row.created_at, &row.id)
            );
            Ok(page)
        })
        .await
    }

    async fn find(&self, scope: &Scope, id: &KeyId) -> PortResult<Option<ApiKey>> {
        let (params, id) = (ScopeParams::of(scope), id.to_string());
        let row = point_lookup!(self, ApiKeyRow, scope::live_key(&params, &id))?;
        Ok(row.map(ApiKey::try_from).transpose()?)
    }

    async fn revoke(
        &self,
        scope: &Scope,
        id: &KeyId,
        now: Timestamp,
        events: &[Event],
    ) -> PortResult<Written> {
        let in_scope = belongs_to_scope(scope, scope.organization(), events);
        let (params, id) = (ScopeParams::of(scope), id.to_string());
        let events = EventRow::all(events)?;
        self.run(|database| async move {
            with_transaction!(database, |conn| {
                let changed = diesel::update(scope::live_key(&params, &id))
                    .set(api_keys::revoked_at.eq(now.millis()))
                    .execute(conn)
                    .await?;
                if changed == 0 {
                    return Ok(Written::Raced);
                }
                if !in_scope {
                    return Err(CROSS_ORGANIZATION_WRITE);
                }
                insert_events!(conn, events);
                Ok(Written::Done)
            })
        })
        .await
    }
}
