//! API keys: as their owners see them, and as the door looks them up.
//!
//! Decision: ADR 0013.

use std::collections::BTreeSet;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use domain::{
    ApiKey, Capabilities, Capability, Event, IdempotencyRecord, KeyId, OrganizationId, Resource,
    Scope, SessionId, Timestamp,
    ports::{ApiKeyStore, KeyDirectory, KeyPage, PortResult, PresentedKey, Written},
};

use crate::{
    Database, StoreError,
    column::{actor, actor_columns, from_json, parse_optional, timestamp, to_json},
    events::{EventRow, insert_events},
    look::point_lookup,
    pool::{with_conn, with_transaction},
    receipts::{NewIdempotencyRecord, insert_idempotency_record},
    rows::fill_page,
    schema::{api_keys, sessions},
    scope::{self, KeysetPosition, ScopeParams, counts},
    sessions::{CROSS_ORGANIZATION_WRITE, belongs_to_scope},
    usage::{ResourceGrowth, admit, refusal_as_written},
};

/// A key as a row.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = api_keys, treat_none_as_default_value = false)]
struct ApiKeyRow {
    id: String,
    organization: String,
    name: String,
    capabilities: String,
    sessions: Option<String>,
    digest: Vec<u8>,
    created_by_kind: String,
    created_by_name: Option<String>,
    created_at: i64,
    expires_at: Option<i64>,
    last_used_at: Option<i64>,
    revoked_at: Option<i64>,
}

impl ApiKeyRow {
    fn new(key: &ApiKey) -> Result<Self, StoreError> {
        let (kind, name) = actor_columns(&key.created_by);
        let capabilities: Vec<_> = key.capabilities.iter().map(Capability::as_str).collect();
        let sessions: Option<Vec<_>> =
            key.sessions.as_ref().map(|ids| ids.iter().map(SessionId::as_str).collect());
        Ok(Self {
            id: key.id.to_string(),
            organization: key.organization.to_string(),
            name: key.name.clone(),
            capabilities: to_json("api_keys.capabilities", &capabilities)?,
            sessions: sessions.map(|ids| to_json("api_keys.sessions", &ids)).transpose()?,
            digest: key.digest.to_vec(),
            created_by_kind: kind.to_owned(),
            created_by_name: name,
            created_at: key.created_at.millis(),
            expires_at: key.expires_at.map(Timestamp::millis),
            last_used_at: key.last_used_at.map(Timestamp::millis),
            revoked_at: key.revoked_at.map(Timestamp::millis),
        })
    }

    fn key(&self) -> Result<ApiKey, &'static str> {
        Ok(ApiKey {
            id: KeyId::parse(&self.id).ok_or("api_keys.id")?,
            organization: OrganizationId::parse(&self.organization)
                .ok_or("api_keys.organization")?,
            name: self.name.clone(),
            capabilities: capabilities(&self.capabilities).ok_or("api_keys.capabilities")?,
            sessions: parse_optional(self.sessions.as_deref(), session_ids)
                .ok_or("api_keys.sessions")?,
            digest: self.digest.as_slice().try_into().map_err(|_| "api_keys.digest")?,
            created_by: actor(&self.created_by_kind, self.created_by_name.as_deref())
                .ok_or("api_keys.created_by_kind")?,
            created_at: Timestamp::from_millis(self.created_at),
            expires_at: timestamp(self.expires_at),
            last_used_at: timestamp(self.last_used_at),
            revoked_at: timestamp(self.revoked_at),
        })
    }
}

fn capabilities(text: &str) -> Option<Capabilities> {
    let names: Vec<String> = from_json(text)?;
    names.iter().map(|name| Capability::parse(name)).collect()
}

fn session_ids(text: &str) -> Option<BTreeSet<SessionId>> {
    let ids: Vec<String> = from_json(text)?;
    ids.iter().map(|id| SessionId::parse(id)).collect()
}

impl TryFrom<ApiKeyRow> for ApiKey {
    type Error = StoreError;

    fn try_from(row: ApiKeyRow) -> Result<Self, StoreError> {
        row.key().map_err(|column| StoreError::corrupt(column, &row.id))
    }
}

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

#[async_trait]
impl KeyDirectory for Database {
    async fn find(&self, presented: &PresentedKey, now: Timestamp) -> PortResult<Option<ApiKey>> {
        let epoch = self.epoch();
        if epoch.as_ref().is_some_and(|epoch| epoch.is_unknown_key(presented)) {
            return Ok(None);
        }
        let row =
            point_lookup!(self, ApiKeyRow, scope::valid_key(&presented.digest, now.millis()))?;
        let key = row.map(ApiKey::try_from).transpose()?.filter(|key| key.id == presented.id);
        if let (Some(epoch), None) = (epoch, &key) {
            epoch.insert_unknown_key(presented.clone());
        }
        Ok(key)
    }

    async fn record_use(&self, id: &KeyId, at: Timestamp) -> PortResult<()> {
        let (id, at) = (id.to_string(), at.millis());
        self.run(|database| async move {
            with_conn!(database, write, |conn| {
                diesel::update(scope::key_last_used_before(&id, at))
                    .set(api_keys::last_used_at.eq(at))
                    .execute(conn)
                    .await
            })?;
            Ok(())
        })
        .await
    }
}
