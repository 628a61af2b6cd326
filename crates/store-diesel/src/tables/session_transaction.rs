//! Writes a session in a transaction of several statements: with an idempotency record, with a link
//! attempt, or with a check of quotas.

use diesel::{OptionalExtension, prelude::*};
use diesel_async::RunQueryDsl;
use domain::{
    Event, IdempotencyRecord, LinkAttempt, Resource, ResourceLimits, Scope, Timestamp,
    ports::{PortResult, Written},
};

use crate::{
    Database, StoreError,
    batch::mutation::insert_events,
    database::statements::with_transaction,
    rows::{
        event::EventRow,
        link_attempt::NewLinkAttempt,
        session::{MutableColumns, SessionRow},
        usage::ResourceGrowth,
    },
    schema::sessions,
    scope::{self, ExpectedRowVersion, ScopeParams, ScopedSessionId, counts::octet_length},
    tables::{
        idempotency::{NewIdempotencyRecord, insert_idempotency_record},
        link_attempts::count_link_attempt,
        quotas::{admit, refusal_as_written},
    },
};

/// A write of a session with everything that is written in its transaction.
pub(crate) struct SessionTransaction {
    row: RowChange,
    params: ScopeParams,
    limits: ResourceLimits,
    events: Vec<EventRow>,
    record: Option<NewIdempotencyRecord>,
    attempt: Option<NewLinkAttempt>,
}

/// The change of the session's row.
pub(crate) enum RowChange {
    /// Inserts the row.
    Insert(Box<SessionRow>),
    /// Replaces the mutable columns if version and due time are as expected.
    Update(ScopedSessionId, ExpectedRowVersion, Box<MutableColumns>),
}

impl SessionTransaction {
    pub(crate) fn new(
        scope: &Scope,
        limits: ResourceLimits,
        row: RowChange,
        events: &[Event],
        record: Option<(&IdempotencyRecord, Timestamp)>,
        attempt: Option<&LinkAttempt>,
    ) -> Result<Self, StoreError> {
        let record = record.map(|(record, now)| NewIdempotencyRecord::new(scope, record, now));
        let attempt = attempt.map(|attempt| NewLinkAttempt::new(scope, attempt)).transpose()?;
        let events = EventRow::all(events)?;
        Ok(Self { row, params: ScopeParams::of(scope), limits, events, record, attempt })
    }
}

impl Database {
    /// Runs the transaction: writes everything or nothing.
    pub(crate) async fn run_session_transaction(
        &self,
        transaction: SessionTransaction,
    ) -> PortResult<Written> {
        let transaction_permit = self.transaction_permit(&transaction.params.organization).await?;
        self.run(|database| async move {
            let SessionTransaction { row, params, limits, events, record, attempt } = transaction;
            let written = with_transaction!(database, |conn| {
                let mut growth = ResourceGrowth::default();
                match &row {
                    RowChange::Insert(row) => {
                        diesel::insert_into(sessions::table).values(&**row).execute(conn).await?;
                        growth.add(Resource::Sessions, 1);
                        growth.add(Resource::Metadata, row.metadata_bytes());
                    }
                    RowChange::Update(scoped_id, expected, state) => {
                        if state.metadata_bytes() > 0 {
                            let before: Option<i32> = scope::session_at(scoped_id, *expected)
                                .select(octet_length(sessions::metadata))
                                .get_result(conn)
                                .await
                                .optional()?;
                            let before = before.and_then(|bytes| usize::try_from(bytes - 2).ok());
                            let before = before.unwrap_or_default();
                            let more = state.metadata_bytes().saturating_sub(before);
                            growth.add(Resource::Metadata, more);
                        }
                        let row = scope::session_at(scoped_id, *expected);
                        if diesel::update(row).set(&**state).execute(conn).await? == 0 {
                            return Ok(Written::Raced);
                        }
                    }
                }
                insert_events!(conn, events);
                if !insert_idempotency_record!(conn, record) {
                    return Err(StoreError::Repeated);
                }
                if let Some(record) = &record {
                    growth.add(Resource::IdempotencyRecords, record.bytes());
                }
                admit!(conn, params, limits, growth);
                if let Some(attempt) = &attempt {
                    count_link_attempt!(conn, params, attempt);
                }
                Ok(Written::Done)
            });
            drop(transaction_permit);
            refusal_as_written(written)
        })
        .await
    }
}
