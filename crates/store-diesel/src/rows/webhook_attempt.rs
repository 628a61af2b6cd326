//! The table `webhook_attempts`.

use std::time::Duration;

use diesel::prelude::*;
use domain::{AttemptId, AttemptRecord, EventId, OutcomeClass, Timestamp};
use serde::Serialize;

use crate::{
    StoreError,
    rows::column::{from_bigint, parse_optional, to_bigint},
    schema::webhook_attempts,
};

/// A row of `webhook_attempts`.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = webhook_attempts)]
pub(crate) struct AttemptRow {
    organization: String,
    webhook: String,
    pub(crate) id: String,
    event: String,
    number: i64,
    replay: bool,
    pub(crate) at: i64,
    millis: i64,
    outcome: String,
    status: Option<i64>,
    excerpt: Option<String>,
}

impl AttemptRow {
    pub(crate) fn new(
        organization: &str,
        webhook: &str,
        record: &AttemptRecord,
    ) -> Result<Self, StoreError> {
        let millis = u64::try_from(record.duration.as_millis()).unwrap_or(u64::MAX);
        Ok(Self {
            organization: organization.to_owned(),
            webhook: webhook.to_owned(),
            id: record.id.to_string(),
            event: record.event.to_string(),
            number: record.number.into(),
            replay: record.replay,
            at: record.at.millis(),
            millis: to_bigint("webhook_attempts.millis", millis)?,
            outcome: record.class.as_str().to_owned(),
            status: record.status.map(i64::from),
            excerpt: record.excerpt.clone(),
        })
    }

    fn record(&self) -> Result<AttemptRecord, &'static str> {
        Ok(AttemptRecord {
            id: AttemptId::parse(&self.id).ok_or("webhook_attempts.id")?,
            event: EventId::parse(&self.event).ok_or("webhook_attempts.event")?,
            number: from_bigint(self.number).ok_or("webhook_attempts.number")?,
            replay: self.replay,
            at: Timestamp::from_millis(self.at),
            duration: Duration::from_millis(
                from_bigint(self.millis).ok_or("webhook_attempts.millis")?,
            ),
            class: OutcomeClass::parse(&self.outcome).ok_or("webhook_attempts.outcome")?,
            status: parse_optional(self.status, from_bigint).ok_or("webhook_attempts.status")?,
            excerpt: self.excerpt.clone(),
        })
    }
}

impl TryFrom<AttemptRow> for AttemptRecord {
    type Error = StoreError;

    fn try_from(row: AttemptRow) -> Result<Self, StoreError> {
        row.record().map_err(|column| StoreError::corrupt(column, &row.id))
    }
}
