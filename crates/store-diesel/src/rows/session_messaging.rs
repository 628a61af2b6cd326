//! The table `session_messaging`: counters and marks of a session's messages.

use diesel::prelude::*;
use domain::{JournalName, OrganizationId, SessionId, SessionMessaging, Timestamp, Version};
use serde::Serialize;

use crate::{
    StoreError,
    rows::column::{from_bigint, parse_optional, timestamp, to_bigint},
    schema::session_messaging,
};

/// A row of `session_messaging`, without the columns of the removal.
#[derive(Queryable, Selectable, QueryableByName, Serialize)]
#[diesel(table_name = session_messaging)]
pub(crate) struct SessionMessagingRow {
    organization: String,
    session: String,
    version: i64,
    sequence: i64,
    last_chat: i64,
    last_message: i64,
    account: Option<String>,
    journal: Option<String>,
    journal_sequence: i64,
    queued: i64,
    paused_until: Option<i64>,
    outbox_due: Option<i64>,
}

impl SessionMessagingRow {
    pub(crate) fn new(row: &SessionMessaging) -> Result<Self, StoreError> {
        Ok(Self {
            organization: row.organization.to_string(),
            session: row.session.to_string(),
            version: to_bigint("session_messaging.version", row.version.0)?,
            sequence: to_bigint("session_messaging.sequence", row.sequence)?,
            last_chat: to_bigint("session_messaging.last_chat", row.last_chat)?,
            last_message: to_bigint("session_messaging.last_message", row.last_message)?,
            account: row.account.clone(),
            journal: row.journal.as_ref().map(ToString::to_string),
            journal_sequence: to_bigint(
                "session_messaging.journal_sequence",
                row.journal_sequence,
            )?,
            queued: to_bigint("session_messaging.queued", row.queued)?,
            paused_until: row.paused_until.map(Timestamp::millis),
            outbox_due: row.outbox_due.map(Timestamp::millis),
        })
    }

    fn messaging(&self) -> Result<SessionMessaging, &'static str> {
        Ok(SessionMessaging {
            organization: OrganizationId::parse(&self.organization)
                .ok_or("session_messaging.organization")?,
            session: SessionId::parse(&self.session).ok_or("session_messaging.session")?,
            version: Version(from_bigint(self.version).ok_or("session_messaging.version")?),
            sequence: from_bigint(self.sequence).ok_or("session_messaging.sequence")?,
            last_chat: from_bigint(self.last_chat).ok_or("session_messaging.last_chat")?,
            last_message: from_bigint(self.last_message).ok_or("session_messaging.last_message")?,
            account: self.account.clone(),
            journal: parse_optional(self.journal.as_deref(), JournalName::parse)
                .ok_or("session_messaging.journal")?,
            journal_sequence: from_bigint(self.journal_sequence)
                .ok_or("session_messaging.journal_sequence")?,
            queued: from_bigint(self.queued).ok_or("session_messaging.queued")?,
            paused_until: timestamp(self.paused_until),
            outbox_due: timestamp(self.outbox_due),
        })
    }
}

impl TryFrom<SessionMessagingRow> for SessionMessaging {
    type Error = StoreError;

    fn try_from(row: SessionMessagingRow) -> Result<Self, StoreError> {
        row.messaging().map_err(|column| StoreError::corrupt(column, &row.session))
    }
}
