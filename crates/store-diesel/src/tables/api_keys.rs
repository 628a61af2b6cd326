//! API keys as their owners see them.

use std::collections::BTreeSet;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use domain::{
    ApiKey, Commit, KeyId, KeyWrite, Scope, SessionId,
    ports::{ApiKeyStore, CommitOutcome, KeyPage, PortResult},
};

use crate::{
    Database, StoreError,
    database::statements::{point_lookup, with_conn},
    rows::{api_key::ApiKeyRow, event::EventRow, readable::fill_page},
    schema::sessions,
    scope::{self, KeysetPosition, ScopeParams, counts},
    tables::{
        idempotency_insert::NewIdempotencyRecord,
        transaction::{CallerRows, RowChange, Transaction, belongs_to_scope},
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

    async fn commit(&self, scope: &Scope, commit: &Commit<KeyWrite>) -> PortResult<CommitOutcome> {
        let (change, organization, now) = match &commit.change {
            KeyWrite::Insert(key) => {
                let row = RowChange::InsertKey(Box::new(ApiKeyRow::new(key)?));
                (row, &key.organization, key.created_at)
            }
            KeyWrite::Revoke { id, at } => {
                let (params, id) = (ScopeParams::of(scope), id.to_string());
                let row = RowChange::RevokeKey { params, id, at: at.millis() };
                (row, scope.organization(), *at)
            }
        };
        let caller = CallerRows {
            params: ScopeParams::of(scope),
            limits: self.limits(scope),
            is_own: belongs_to_scope(scope, organization, &commit.events),
            record: NewIdempotencyRecord::of(scope, commit.idempotency.as_ref(), now),
            attempt: None,
        };
        let events = EventRow::all(&commit.events)?;
        self.run_transaction(Transaction { change, events, caller: Some(caller) }).await
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
}
