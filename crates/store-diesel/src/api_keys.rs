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
    column::{actor, actor_columns, moment, optional, read, written},
    events::{EventRow, write_events},
    look::look_up,
    pool::{with_conn, with_transaction},
    receipts::{NewReceipt, keep_receipt},
    rows::fill_page,
    schema::{api_keys, sessions},
    scope::{self, Owner, Place, counts},
    sessions::{STRAY, is_home},
    usage::{Growth, admit, unless_refused},
};

/// A key as a row.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = api_keys, treat_none_as_default_value = false)]
struct KeyRow {
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

impl KeyRow {
    fn new(key: &ApiKey) -> Result<Self, StoreError> {
        let (kind, name) = actor_columns(&key.created_by);
        let capabilities: Vec<_> = key.capabilities.iter().map(Capability::as_str).collect();
        let sessions: Option<Vec<_>> =
            key.sessions.as_ref().map(|ids| ids.iter().map(SessionId::as_str).collect());
        Ok(Self {
            id: key.id.to_string(),
            organization: key.organization.to_string(),
            name: key.name.clone(),
            capabilities: written("api_keys.capabilities", &capabilities)?,
            sessions: sessions.map(|ids| written("api_keys.sessions", &ids)).transpose()?,
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
            sessions: optional(self.sessions.as_deref(), session_ids).ok_or("api_keys.sessions")?,
            digest: self.digest.as_slice().try_into().map_err(|_| "api_keys.digest")?,
            created_by: actor(&self.created_by_kind, self.created_by_name.as_deref())
                .ok_or("api_keys.created_by_kind")?,
            created_at: Timestamp::from_millis(self.created_at),
            expires_at: moment(self.expires_at),
            last_used_at: moment(self.last_used_at),
            revoked_at: moment(self.revoked_at),
        })
    }
}

fn capabilities(text: &str) -> Option<Capabilities> {
    let names: Vec<String> = read(text)?;
    names.iter().map(|name| Capability::parse(name)).collect()
}

fn session_ids(text: &str) -> Option<BTreeSet<SessionId>> {
    let ids: Vec<String> = read(text)?;
    ids.iter().map(|id| SessionId::parse(id)).collect()
}

impl TryFrom<KeyRow> for ApiKey {
    type Error = StoreError;

    fn try_from(row: KeyRow) -> Result<Self, StoreError> {
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
        let owner = Owner::of(scope);
        let ids: Vec<_> = sessions.iter().map(ToString::to_string).collect();
        self.run(|database| async move {
            let found: Vec<String> = with_conn!(database, read, |conn| {
                counts::sessions_among(&owner, &ids).select(sessions::id).load(conn).await
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
        receipt: Option<&IdempotencyRecord>,
    ) -> PortResult<Written> {
        if !is_home(scope, &key.organization, events) {
            return Err(STRAY.into());
        }
        let (row, events) = (KeyRow::new(key)?, EventRow::all(events)?);
        let receipt = receipt.map(|receipt| NewReceipt::new(scope, receipt, key.created_at));
        let (owner, limits) = (Owner::of(scope), self.limits(scope));
        let mut grown = Growth::default();
        grown.add(Resource::ApiKeys, 1);
        grown.add(Resource::IdempotencyRecords, receipt.as_ref().map_or(0, NewReceipt::bytes));
        let turn = self.turn(&owner.organization).await?;
        self.run(|database| async move {
            let written = with_transaction!(database, |conn| {
                if !keep_receipt!(conn, receipt) {
                    return Ok(Written::Repeated);
                }
                diesel::insert_into(api_keys::table).values(&row).execute(conn).await?;
                write_events!(conn, events);
                admit!(conn, owner, limits, grown);
                Ok(Written::Done)
            });
            drop(turn);
            unless_refused(written)
        })
        .await
    }

    async fn list(&self, scope: &Scope, page: &KeyPage) -> PortResult<Vec<ApiKey>> {
        let (owner, limit) = (Owner::of(scope), page.limit);
        let after = Place::of(page.after.as_ref());
        self.run(|database| async move {
            let page = fill_page!(
                limit,
                after,
                |after, many| {
                    let rows: Vec<KeyRow> = with_conn!(database, read, |conn| {
                        scope::key_page(&owner, &after)
                            .select(KeyRow::as_select())
                            .limit(many)
                            .load(conn)
                            .await
                    })?;
                    rows
                },
                |row: &KeyRow| Place::at(row.created_at, &row.id)
            );
            Ok(page)
        })
        .await
    }

    async fn find(&self, scope: &Scope, id: &KeyId) -> PortResult<Option<ApiKey>> {
        let (owner, id) = (Owner::of(scope), id.to_string());
        let row = look_up!(self, KeyRow, scope::live_key(&owner, &id))?;
        Ok(row.map(ApiKey::try_from).transpose()?)
    }

    async fn revoke(
        &self,
        scope: &Scope,
        id: &KeyId,
        now: Timestamp,
        events: &[Event],
    ) -> PortResult<Written> {
        let home = is_home(scope, scope.organization(), events);
        let (owner, id) = (Owner::of(scope), id.to_string());
        let events = EventRow::all(events)?;
        self.run(|database| async move {
            with_transaction!(database, |conn| {
                let changed = diesel::update(scope::live_key(&owner, &id))
                    .set(api_keys::revoked_at.eq(now.millis()))
                    .execute(conn)
                    .await?;
                if changed == 0 {
                    return Ok(Written::Raced);
                }
                if !home {
                    return Err(STRAY);
                }
                write_events!(conn, events);
                Ok(Written::Done)
            })
        })
        .await
    }
}

#[async_trait]
impl KeyDirectory for Database {
    async fn find(&self, shown: &PresentedKey, now: Timestamp) -> PortResult<Option<ApiKey>> {
        let moment = self.moment();
        if moment.as_ref().is_some_and(|moment| moment.is_strange(shown)) {
            return Ok(None);
        }
        let row = look_up!(self, KeyRow, scope::good_key(&shown.digest, now.millis()))?;
        let key = row.map(ApiKey::try_from).transpose()?.filter(|key| key.id == shown.id);
        if let (Some(moment), None) = (moment, &key) {
            moment.strange(shown.clone());
        }
        Ok(key)
    }

    async fn record_use(&self, id: &KeyId, at: Timestamp) -> PortResult<()> {
        let (id, at) = (id.to_string(), at.millis());
        self.run(|database| async move {
            with_conn!(database, write, |conn| {
                diesel::update(scope::key_unused_since(&id, at))
                    .set(api_keys::last_used_at.eq(at))
                    .execute(conn)
                    .await
            })?;
            Ok(())
        })
        .await
    }
}
