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
    look::look_up,
    pool::{with_conn, with_transaction},
    schema::{receipts, usage},
    scope::{self, Owner, counts},
    usage::{Growth, admit, unless_refused},
};

/// A receipt as a row.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = receipts)]
pub(crate) struct ReceiptRow {
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
pub(crate) struct NewReceipt {
    pub(crate) owner: Owner,
    pub(crate) row: ReceiptRow,
    pub(crate) now: i64,
}

impl NewReceipt {
    pub(crate) fn new(scope: &Scope, receipt: &IdempotencyRecord, now: Timestamp) -> Self {
        let row = ReceiptRow {
            organization: scope.organization().to_string(),
            slot: receipt.key_hash.0.to_vec(),
            request: receipt.request.to_vec(),
            answer: receipt.response.clone(),
            expires_at: receipt.expires_at.millis(),
        };
        Self { owner: Owner::of(scope), row, now: now.millis() }
    }

    /// How much it takes of the organization's records.
    pub(crate) fn bytes(&self) -> usize {
        self.row.answer.len()
    }

    pub(crate) fn slot(&self) -> &[u8] {
        &self.row.slot
    }
}

/// Keeps a receipt, in the transaction that the connection is in; `false` when its slot is taken.
/// Of two transactions that take one slot, the second waits for the first to end.
macro_rules! keep_receipt {
    ($conn:expr, $receipt:expr) => {
        match &$receipt {
            None => true,
            Some(receipt) => {
                let expired =
                    $crate::scope::expired_receipt(&receipt.owner, receipt.slot(), receipt.now);
                diesel::delete(expired).execute($conn).await?;
                diesel::insert_into($crate::schema::receipts::table)
                    .values(&receipt.row)
                    .on_conflict_do_nothing()
                    .execute($conn)
                    .await?
                    == 1
            }
        }
    };
}
pub(crate) use keep_receipt;

impl TryFrom<ReceiptRow> for IdempotencyRecord {
    type Error = StoreError;

    fn try_from(row: ReceiptRow) -> Result<Self, StoreError> {
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
        slot: &IdempotencyKeyHash,
        now: Timestamp,
    ) -> PortResult<Option<IdempotencyRecord>> {
        let (owner, slot, now) = (Owner::of(scope), slot.0, now.millis());
        let row = look_up!(self, ReceiptRow, scope::receipt(&owner, &slot, now))?;
        Ok(row.map(IdempotencyRecord::try_from).transpose()?)
    }

    async fn limit_reached(&self, scope: &Scope) -> PortResult<Option<ResourceLimitReached>> {
        let (limits, stock) = (self.limits(scope), Resource::IdempotencyRecords);
        if limits.get(stock).is_none() {
            return Ok(None);
        }
        let owner = Owner::of(scope);
        let row = look_up!(self, UsageRow, counts::usage_of_one(&owner, stock.as_str()))?;
        let used = row.map_or(0, |row| u64::try_from(row.used).unwrap_or(0));
        Ok(limits.admit(stock, used.saturating_add(1), 1).err())
    }

    async fn record(
        &self,
        scope: &Scope,
        receipt: &IdempotencyRecord,
        now: Timestamp,
    ) -> PortResult<Written> {
        let (owner, limits) = (Owner::of(scope), self.limits(scope));
        let mut grown = Growth::default();
        grown.add(Resource::IdempotencyRecords, receipt.response.len());
        let receipt = Some(NewReceipt::new(scope, receipt, now));
        let turn = self.turn(&owner.organization).await?;
        self.run(|database| async move {
            let kept = with_transaction!(database, |conn| {
                if !keep_receipt!(conn, receipt) {
                    return Ok(Written::Repeated);
                }
                admit!(conn, owner, limits, grown);
                Ok(Written::Done)
            });
            drop(turn);
            unless_refused(kept)
        })
        .await
    }

    async fn amend(&self, scope: &Scope, receipt: &IdempotencyRecord) -> PortResult<()> {
        let (owner, slot, request) = (Owner::of(scope), receipt.key_hash.0, receipt.request);
        let answer = receipt.response.clone();
        self.run(|database| async move {
            with_conn!(database, write, |conn| {
                diesel::update(scope::receipt_of(&owner, &slot, &request))
                    .set(receipts::answer.eq(&answer))
                    .execute(conn)
                    .await
            })?;
            Ok(())
        })
        .await
    }
}
