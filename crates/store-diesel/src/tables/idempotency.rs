//! Implements the store of idempotency records.
//!
//! Decision: ADR 0014.

use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use domain::{
    IdempotencyKeyHash, IdempotencyRecord, Resource, ResourceLimitReached, Scope, Timestamp,
    ports::{IdempotencyStore, PortResult, Rejection},
};

use crate::{
    Database,
    database::statements::{point_lookup, with_conn},
    rows::{idempotency::IdempotencyRow, usage::UsageRow},
    schema::receipts,
    scope::{self, ScopeParams, counts},
    tables::{
        idempotency_insert::NewIdempotencyRecord,
        transaction::{CallerRows, RowChange, Transaction},
    },
};

#[async_trait]
impl IdempotencyStore for Database {
    async fn find(
        &self,
        scope: &Scope,
        key_hash: &IdempotencyKeyHash,
        now: Timestamp,
    ) -> PortResult<Option<IdempotencyRecord>> {
        let (params, key_hash, now) = (ScopeParams::of(scope), key_hash.0, now.millis());
        let row = point_lookup!(
            self,
            IdempotencyRow,
            scope::idempotency_record(&params, &key_hash, now)
        )?;
        Ok(row.map(IdempotencyRecord::try_from).transpose()?)
    }

    async fn limit_reached(&self, scope: &Scope) -> PortResult<Option<ResourceLimitReached>> {
        let (limits, resource) = (self.limits(scope), Resource::IdempotencyRecords);
        if limits.get(resource).is_none() {
            return Ok(None);
        }
        let params = ScopeParams::of(scope);
        let row = point_lookup!(self, UsageRow, counts::usage_of_one(&params, resource.as_str()))?;
        let used = row.map_or(0, |row| u64::try_from(row.used).unwrap_or(0));
        Ok(limits.admit(resource, used.saturating_add(1), 1).err())
    }

    async fn record(
        &self,
        scope: &Scope,
        record: &IdempotencyRecord,
        now: Timestamp,
    ) -> PortResult<Result<(), Rejection>> {
        let caller = Some(CallerRows {
            params: ScopeParams::of(scope),
            limits: self.limits(scope),
            is_own: true,
            record: NewIdempotencyRecord::of(scope, Some(record), now),
            attempt: None,
        });
        let (change, events) = (RowChange::None, Vec::new());
        let written = self.run_transaction(Transaction { change, events, caller }).await?;
        Ok(written.map(drop))
    }

    async fn amend(&self, scope: &Scope, record: &IdempotencyRecord) -> PortResult<()> {
        let (params, key_hash, request) =
            (ScopeParams::of(scope), record.key_hash.0, record.request);
        let answer = record.response.clone();
        self.run(|database| async move {
            with_conn!(database, write, |conn| {
                diesel::update(scope::idempotency_record_of_request(&params, &key_hash, &request))
                    .set(receipts::answer.eq(&answer))
                    .execute(conn)
                    .await
            })?;
            Ok(())
        })
        .await
    }
}
