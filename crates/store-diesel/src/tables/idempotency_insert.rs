//! Inserts an idempotency record in the transaction of its change, or alone.
//!
//! Decision: ADR 0014.

use domain::{IdempotencyRecord, Scope, Timestamp};

use crate::{rows::idempotency::IdempotencyRow, scope::ScopeParams};

/// An idempotency record to insert.
pub(crate) struct NewIdempotencyRecord {
    pub(crate) params: ScopeParams,
    pub(crate) row: IdempotencyRow,
    pub(crate) now: i64,
}

impl NewIdempotencyRecord {
    /// `now` decides whether an earlier record with the key hash has expired.
    pub(crate) fn of(
        scope: &Scope,
        record: Option<&IdempotencyRecord>,
        now: Timestamp,
    ) -> Option<Self> {
        let record = record?;
        let row = IdempotencyRow {
            organization: scope.organization().to_string(),
            slot: record.key_hash.0.to_vec(),
            request: record.request.to_vec(),
            answer: record.response.clone(),
            expires_at: record.expires_at.millis(),
        };
        Some(Self { params: ScopeParams::of(scope), row, now: now.millis() })
    }

    /// Returns the amount of resource `idempotency_records` that the record uses, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.row.answer.len()
    }

    pub(crate) fn key_hash(&self) -> &[u8] {
        &self.row.slot
    }
}

/// Inserts an idempotency record in the current transaction; `false` when the key hash is in use.
/// Of two transactions with one key hash, the second waits for the first to end.
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
