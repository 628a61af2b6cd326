//! Receipts: kept in the transaction of the change they tell of, or by themselves.
//!
//! Decision: ADR 0014.

use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use domain::{
    IdempotencyKeyHash, IdempotencyRecord, Resource, ResourceLimitReached, Scope, Timestamp,
    ports::{IdempotencyStore, PortResult, Written},
};

use crate::{
    Database, StoreError,
    look::point_lookup,
    pool::{with_conn, with_transaction},
    schema::{receipts, usage},
    scope::{self, ScopeParams, counts},
    usage::{ResourceGrowth, admit, refusal_as_written},
};

/// A receipt as a row.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = receipts)]
pub(crate) struct IdempotencyRow {
    organization: String,
    slot: Vec<u8>,
    request: Vec<u8>,
    answer: Vec<u8>,
    expires_at: i64,
}

/// How much the organization has of a stock.
#[derive(Queryable, Selectable)]
#[diesel(table_name = usage)]
struct UsageRow {
    used: i64,
}

/// A receipt that is to be kept from now on.
pub(crate) struct NewIdempotencyRecord {
    pub(crate) params: ScopeParams,
    pub(crate) row: IdempotencyRow,
    pub(crate) now: i64,
}

impl NewIdempotencyRecord {
    pub(crate) fn new(scope: &Scope, record: &IdempotencyRecord, now: Timestamp) -> Self {
        let row = IdempotencyRow {
            organization: scope.organization().to_string(),
            slot: record.key_hash.0.to_vec(),
            request: record.request.to_vec(),
            answer: record.response.clone(),
            expires_at: record.expires_at.millis(),
        };
        Self { params: ScopeParams::of(scope), row, now: now.millis() }
    }

    /// How much it takes of the organization's records.
    pub(crate) fn bytes(&self) -> usize {
        self.row.answer.len()
    }

    pub(crate) fn key_hash(&self) -> &[u8] {
        &self.row.slot
    }
}

/// Keeps a receipt, in the transaction that the connection is in; `false` when its slot is taken.
/// Of two transactions that take one slot, the second waits for the first to end.
macro_rules! insert_idempotency_record {
    ($conn:expr, $record:expr) => {
        match &$record {
            None => true,
            Some(record) => {
                let expired = $crate::scope::expired_idempotency_record(
                    &record.params,
                    record.key_hash(),
                    record.now,
                );
                diesel::delete(expired).execute($conn).await?;
                diesel::insert_into($crate::schema::receipts::table)
                    .values(&record.row)
                    .on_conflict_do_nothing()
                    .execute($conn)
                    .await?
                    == 1
            }
        }
    };
}
pub(crate) use insert_idempotency_record;

impl TryFrom<IdempotencyRow> for IdempotencyRecord {
    type Error = StoreError;

    fn try_from(row: IdempotencyRow) -> Result<Self, StoreError> {
        let digest = |column, bytes: &[u8]| {
            bytes.try_into().map_err(|_| StoreError::corrupt(column, &row.organization))
        };
        Ok(Self {
            key_hash: IdempotencyKeyHash(digest("receipts.slot", &row.slot)?),
            request: digest("receipts.request", &row.request)?,
            response: row.answer,
            expires_at: Timestamp::from_millis(row.expires_at),
        })
    }
}

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
    ) -> PortResult<Written> {
        let (params, limits) = (ScopeParams::of(scope), self.limits(scope));
        let mut growth = ResourceGrowth::default();
        growth.add(Resource::IdempotencyRecords, record.response.len());
        let record = Some(NewIdempotencyRecord::new(scope, record, now));
        let transaction_permit = self.transaction_permit(&params.organization).await?;
        self.run(|database| async move {
            let written = with_transaction!(database, |conn| {
                if !insert_idempotency_record!(conn, record) {
                    return Ok(Written::Repeated);
                }
                admit!(conn, params, limits, growth);
                Ok(Written::Done)
            });
            drop(transaction_permit);
            refusal_as_written(written)
        })
        .await
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
