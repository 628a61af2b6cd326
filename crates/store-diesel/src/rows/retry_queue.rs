//! The table `webhook_retries`.

use diesel::prelude::*;
use domain::{Pass, RetryQueue};

use crate::{StoreError, rows::column::to_bigint, schema::webhook_retries};

/// A row of `webhook_retries`.
#[derive(Queryable, Selectable, Insertable)]
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
            ordering_key: queue.key.as_str().to_owned(),
            event: queue.event.to_string(),
            position: to_bigint("webhook_retries.position", queue.position.number())?,
            sequence: to_bigint("webhook_retries.sequence", queue.sequence)?,
            attempts: queue.attempts.into(),
            due: queue.due.millis(),
            first_failed_at: queue.first_failed_at.millis(),
            outcome: queue.class.as_str().to_owned(),
            status: queue.status.map(i64::from),
            skip: queue.skip,
        })
    }
}

/// Returns the column of a pass.
pub(crate) fn pass_column(pass: Pass) -> i64 {
    match pass {
        Pass::Live => 0,
        Pass::Replay => 1,
    }
}
