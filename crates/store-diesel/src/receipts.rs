//! Receipts: kept in the transaction of the change they tell of, or by themselves.

use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use domain::{
    Receipt, Scope, Slot, Timestamp,
    ports::{PortResult, ReceiptStore, Written},
};

use crate::{
    Database, StoreError,
    look::look_up,
    pool::{with_conn, with_transaction},
    schema::receipts,
    scope::{self, Owner},
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

/// A receipt that is to be kept from now on.
pub(crate) struct NewReceipt {
    pub(crate) owner: Owner,
    pub(crate) row: ReceiptRow,
    pub(crate) now: i64,
}

impl NewReceipt {
    pub(crate) fn new(scope: &Scope, receipt: &Receipt, now: Timestamp) -> Self {
        let row = ReceiptRow {
            organization: scope.organization().to_string(),
            slot: receipt.slot.0.to_vec(),
            request: receipt.request.to_vec(),
            answer: receipt.answer.clone(),
            expires_at: receipt.expires_at.millis(),
        };
        Self { owner: Owner::of(scope), row, now: now.millis() }
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

impl TryFrom<ReceiptRow> for Receipt {
    type Error = StoreError;

    fn try_from(row: ReceiptRow) -> Result<Self, StoreError> {
        let digest = |column, bytes: &[u8]| {
            bytes.try_into().map_err(|_| StoreError::corrupt(column, &row.organization))
        };
        Ok(Self {
            slot: Slot(digest("receipts.slot", &row.slot)?),
            request: digest("receipts.request", &row.request)?,
            answer: row.answer,
            expires_at: Timestamp::from_millis(row.expires_at),
        })
    }
}

#[async_trait]
impl ReceiptStore for Database {
    async fn find(
        &self,
        scope: &Scope,
        slot: &Slot,
        now: Timestamp,
    ) -> PortResult<Option<Receipt>> {
        let (owner, slot, now) = (Owner::of(scope), slot.0, now.millis());
        let row = look_up!(self, ReceiptRow, scope::receipt(&owner, &slot, now))?;
        Ok(row.map(Receipt::try_from).transpose()?)
    }

    async fn keep(&self, scope: &Scope, receipt: &Receipt, now: Timestamp) -> PortResult<Written> {
        let receipt = Some(NewReceipt::new(scope, receipt, now));
        self.run(|database| async move {
            with_transaction!(database, |conn| {
                let kept = keep_receipt!(conn, receipt);
                Ok(if kept { Written::Done } else { Written::Repeated })
            })
        })
        .await
    }

    async fn amend(&self, scope: &Scope, receipt: &Receipt) -> PortResult<()> {
        let (owner, slot, request) = (Owner::of(scope), receipt.slot.0, receipt.request);
        let answer = receipt.answer.clone();
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
