//! The table `receipts`, which holds idempotency records.
//!
//! Decision: ADR 0014.

use diesel::prelude::*;
use domain::{IdempotencyKeyHash, IdempotencyRecord, Timestamp};

use crate::{StoreError, schema::receipts};

/// A row of `receipts`. Column `slot` is the idempotency key hash, `answer` the recorded response.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = receipts)]
pub(crate) struct IdempotencyRow {
    pub(crate) organization: String,
    pub(crate) slot: Vec<u8>,
    pub(crate) request: Vec<u8>,
    pub(crate) answer: Vec<u8>,
    pub(crate) expires_at: i64,
}

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
