//! The table `webhook_retries`.

use diesel::prelude::*;
use domain::{EventId, FeedPosition, OrderingKey, OutcomeClass, Pass, RetryQueue, Timestamp};
use serde::Serialize;

use crate::{
    StoreError,
    rows::column::{from_bigint, parse_optional, to_bigint},
    schema::webhook_retries,
};

/// A row of `webhook_retries`.
#[derive(Queryable, Selectable, Insertable, Serialize)]
#[diesel(table_name = webhook_retries, treat_none_as_default_value = false)]
pub(crate) struct RetryQueueRow {
    organization: String,
    webhook: String,
    pass: i64,
    ordering_key: String,
    event: String,
    position: i64,
    sequence: i64,
    attempts: i64,
    due: i64,
    first_failed_at: i64,
    outcome: String,
    status: Option<i64>,
    settled: bool,
    skip: bool,
}

impl RetryQueueRow {
    pub(crate) fn new(
        organization: &str,
        webhook: &str,
        queue: &RetryQueue,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            organization: organization.to_owned(),
            webhook: webhook.to_owned(),
            pass: pass_column(queue.pass),
            ordering_key: queue.key.text().into_owned(),
            event: queue.event.to_string(),
            position: to_bigint("webhook_retries.position", queue.position.number())?,
            sequence: to_bigint("webhook_retries.sequence", queue.sequence)?,
            attempts: queue.attempts.into(),
            due: queue.due.millis(),
            first_failed_at: queue.first_failed_at.millis(),
            outcome: queue.class.as_str().to_owned(),
            status: queue.status.map(i64::from),
            settled: queue.settled,
            skip: queue.skip,
        })
    }
}

impl RetryQueueRow {
    fn queue(&self) -> Result<RetryQueue, &'static str> {
        let position = from_bigint(self.position).ok_or("webhook_retries.position")?;
        Ok(RetryQueue {
            pass: pass(self.pass).ok_or("webhook_retries.pass")?,
            key: OrderingKey::parse(&self.ordering_key).ok_or("webhook_retries.ordering_key")?,
            event: EventId::parse(&self.event).ok_or("webhook_retries.event")?,
            position: FeedPosition::from_number(position),
            sequence: from_bigint(self.sequence).ok_or("webhook_retries.sequence")?,
            attempts: from_bigint(self.attempts).ok_or("webhook_retries.attempts")?,
            due: Timestamp::from_millis(self.due),
            first_failed_at: Timestamp::from_millis(self.first_failed_at),
            class: OutcomeClass::parse(&self.outcome).ok_or("webhook_retries.outcome")?,
            status: parse_optional(self.status, from_bigint).ok_or("webhook_retries.status")?,
            settled: self.settled,
            skip: self.skip,
        })
    }
}

impl TryFrom<RetryQueueRow> for RetryQueue {
    type Error = StoreError;

    fn try_from(row: RetryQueueRow) -> Result<Self, StoreError> {
        row.queue().map_err(|column| StoreError::corrupt(column, &row.webhook))
    }
}

fn pass(column: i64) -> Option<Pass> {
    [Pass::Live, Pass::Replay].into_iter().find(|pass| pass_column(*pass) == column)
}

/// Returns the column of a pass.
pub(crate) fn pass_column(pass: Pass) -> i64 {
    match pass {
        Pass::Live => 0,
        Pass::Replay => 1,
    }
}
