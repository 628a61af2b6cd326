//! A change of a session in a transaction of several statements: where a receipt or an attempt at linking is
//! written with it, and where it must be seen whether there is room for what it adds.

use diesel::{OptionalExtension, prelude::*};
use diesel_async::RunQueryDsl;
use domain::{
    Event, IdempotencyRecord, LinkAttempt, Resource, ResourceLimits, Scope, Timestamp,
    ports::{PortResult, Written},
};

use crate::{
    Database, StoreError,
    attempts::{NewAttempt, count_attempt},
    events::{EventRow, write_events},
    pool::with_transaction,
    receipts::{NewReceipt, keep_receipt},
    schema::sessions,
    scope::{self, Owned, Owner, Standing, counts::octet_length},
    session_row::{SessionRow, State},
    usage::{Growth, admit, unless_refused},
};

/// A change with all that is written with it.
pub(crate) struct Whole {
    row: Row,
    owner: Owner,
    limits: ResourceLimits,
    events: Vec<EventRow>,
    receipt: Option<NewReceipt>,
    attempt: Option<NewAttempt>,
}

/// What becomes of the session's row.
pub(crate) enum Row {
    /// It is new.
    New(Box<SessionRow>),
    /// It is this from now on, if nobody has written or woken it.
    Next(Owned, Standing, Box<State>),
}

impl Whole {
    pub(crate) fn new(
        scope: &Scope,
        limits: ResourceLimits,
        row: Row,
        events: &[Event],
        receipt: Option<(&IdempotencyRecord, Timestamp)>,
        attempt: Option<&LinkAttempt>,
    ) -> Result<Self, StoreError> {
        let receipt = receipt.map(|(receipt, now)| NewReceipt::new(scope, receipt, now));
        let attempt = attempt.map(|attempt| NewAttempt::new(scope, attempt)).transpose()?;
        let events = EventRow::all(events)?;
        Ok(Self { row, owner: Owner::of(scope), limits, events, receipt, attempt })
    }
}

impl Database {
    /// Writes all of it, or nothing.
    pub(crate) async fn write_whole(&self, whole: Whole) -> PortResult<Written> {
        let turn = self.turn(&whole.owner.organization).await?;
        self.run(|database| async move {
            let Whole { row, owner, limits, events, receipt, attempt } = whole;
            let written = with_transaction!(database, |conn| {
                let mut grown = Growth::default();
                match &row {
                    Row::New(row) => {
                        diesel::insert_into(sessions::table).values(&**row).execute(conn).await?;
                        grown.add(Resource::Sessions, 1);
                        grown.add(Resource::Metadata, row.metadata_bytes());
                    }
                    Row::Next(owned, standing, state) => {
                        if state.metadata_bytes() > 0 {
                            let before: Option<i32> = scope::session_still(owned, *standing)
                                .select(octet_length(sessions::metadata))
                                .get_result(conn)
                                .await
                                .optional()?;
                            let before = before.and_then(|bytes| usize::try_from(bytes - 2).ok());
                            let before = before.unwrap_or_default();
                            let more = state.metadata_bytes().saturating_sub(before);
                            grown.add(Resource::Metadata, more);
                        }
                        let still = scope::session_still(owned, *standing);
                        if diesel::update(still).set(&**state).execute(conn).await? == 0 {
                            return Ok(Written::Raced);
                        }
                    }
                }
                write_events!(conn, events);
                if !keep_receipt!(conn, receipt) {
                    return Err(StoreError::Repeated);
                }
                if let Some(receipt) = &receipt {
                    grown.add(Resource::IdempotencyRecords, receipt.bytes());
                }
                admit!(conn, owner, limits, grown);
                if let Some(attempt) = &attempt {
                    count_attempt!(conn, owner, attempt);
                }
                Ok(Written::Done)
            });
            drop(turn);
            unless_refused(written)
        })
        .await
    }
}
