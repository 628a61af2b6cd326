//! The table `webhook_dead_letters`.

use diesel::prelude::*;
use domain::{DeadLetter, EventId, FeedPosition, OutcomeClass, SessionId, Timestamp};
use serde::Serialize;

use crate::{
    StoreError,
    rows::column::{from_bigint, parse_optional, timestamp, to_bigint},
    schema::webhook_dead_letters,
};

/// A row of `webhook_dead_letters`.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = webhook_dead_letters)]
pub(crate) struct DeadLetterRow {
    organization: String,
    webhook: String,
    pub(crate) event: String,
    session: Option<String>,
    position: i64,
    attempts: i64,
    first_failed_at: i64,
    pub(crate) died_at: i64,
    outcome: String,
    status: Option<i64>,
    replayed_at: Option<i64>,
}

impl DeadLetterRow {
    pub(crate) fn new(
        organization: &str,
        webhook: &str,
        dead: &DeadLetter,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            organization: organization.to_owned(),
            webhook: webhook.to_owned(),
            event: dead.event.to_string(),
            session: dead.session.as_ref().map(ToString::to_string),
            position: to_bigint("webhook_dead_letters.position", dead.position.number())?,
            attempts: dead.attempts.into(),
            first_failed_at: dead.first_failed_at.millis(),
            died_at: dead.died_at.millis(),
            outcome: dead.class.as_str().to_owned(),
            status: dead.status.map(i64::from),
            replayed_at: dead.replayed_at.map(Timestamp::millis),
        })
    }

    fn dead_letter(&self) -> Result<DeadLetter, &'static str> {
        let position = from_bigint(self.position).ok_or("webhook_dead_letters.position")?;
        Ok(DeadLetter {
            event: EventId::parse(&self.event).ok_or("webhook_dead_letters.event")?,
            session: parse_optional(self.session.as_deref(), SessionId::parse)
                .ok_or("webhook_dead_letters.session")?,
            position: FeedPosition::from_number(position),
            attempts: from_bigint(self.attempts).ok_or("webhook_dead_letters.attempts")?,
            first_failed_at: Timestamp::from_millis(self.first_failed_at),
            died_at: Timestamp::from_millis(self.died_at),
            class: OutcomeClass::parse(&self.outcome).ok_or("webhook_dead_letters.outcome")?,
            status: parse_optional(self.status, from_bigint)
                .ok_or("webhook_dead_letters.status")?,
            replayed_at: timestamp(self.replayed_at),
        })
    }
}

impl TryFrom<DeadLetterRow> for DeadLetter {
    type Error = StoreError;

    fn try_from(row: DeadLetterRow) -> Result<Self, StoreError> {
        row.dead_letter().map_err(|column| StoreError::corrupt(column, &row.event))
    }
}
