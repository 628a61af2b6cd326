//! The table `outbox`.

use diesel::prelude::*;
use domain::{
    AcceptanceKey, ChatId, MessageId, OutboxEntry, OutboxId, OutboxState, SessionMessaging,
    Timestamp, WaMessageId,
};
use serde::Serialize;

use crate::{
    StoreError,
    rows::{
        column::{from_bigint, parse_optional, timestamp, to_bigint},
        hex::hex,
    },
    schema::outbox,
};

/// A row of `outbox`, without the fingerprint of the request.
#[derive(Queryable, Selectable, QueryableByName, Serialize)]
#[diesel(table_name = outbox)]
pub(crate) struct OutboxRow {
    organization: String,
    pub(crate) session: String,
    pub(crate) message: i64,
    id: String,
    wa_id: String,
    chat: i64,
    account: String,
    state: String,
    typing_millis: Option<i64>,
    accepted_at: i64,
    due: i64,
    expires_at: i64,
    first_handed_at: Option<i64>,
    handed_at: Option<i64>,
    attempts: i64,
    finished_at: Option<i64>,
}

/// A new row of `outbox`, as an entry of a list. Bytes are hexadecimal digits.
#[derive(Serialize)]
pub(crate) struct NewOutboxRow {
    #[serde(flatten)]
    row: OutboxRow,
    key_hash: Option<String>,
    request: Option<String>,
}

impl OutboxRow {
    /// `now` is the time of the change.
    pub(crate) fn new(
        owner: &SessionMessaging,
        entry: &OutboxEntry,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let is_done = entry.state == OutboxState::Done;
        Ok(Self {
            organization: owner.organization.to_string(),
            session: owner.session.to_string(),
            message: to_bigint("outbox.message", entry.message.0)?,
            id: entry.id.to_string(),
            wa_id: entry.wa_id.to_string(),
            chat: to_bigint("outbox.chat", entry.chat.0)?,
            account: entry.account.clone(),
            state: entry.state.as_str().to_owned(),
            typing_millis: entry.typing_millis.map(i64::from),
            accepted_at: entry.accepted_at.millis(),
            due: entry.due.millis(),
            expires_at: entry.expires_at.millis(),
            first_handed_at: entry.first_handed_at.map(Timestamp::millis),
            handed_at: entry.handed_at.map(Timestamp::millis),
            attempts: entry.attempts.into(),
            finished_at: is_done.then_some(now.millis()),
        })
    }

    fn entry(&self) -> Result<OutboxEntry, &'static str> {
        Ok(OutboxEntry {
            id: OutboxId::parse(&self.id).ok_or("outbox.id")?,
            message: MessageId(from_bigint(self.message).ok_or("outbox.message")?),
            wa_id: WaMessageId::parse(&self.wa_id).ok_or("outbox.wa_id")?,
            chat: ChatId(from_bigint(self.chat).ok_or("outbox.chat")?),
            account: self.account.clone(),
            state: OutboxState::parse(&self.state).ok_or("outbox.state")?,
            typing_millis: parse_optional(self.typing_millis, from_bigint)
                .ok_or("outbox.typing_millis")?,
            accepted_at: Timestamp::from_millis(self.accepted_at),
            due: Timestamp::from_millis(self.due),
            expires_at: Timestamp::from_millis(self.expires_at),
            first_handed_at: timestamp(self.first_handed_at),
            handed_at: timestamp(self.handed_at),
            attempts: from_bigint(self.attempts).ok_or("outbox.attempts")?,
        })
    }
}

impl TryFrom<&OutboxRow> for OutboxEntry {
    type Error = StoreError;

    fn try_from(row: &OutboxRow) -> Result<Self, StoreError> {
        row.entry().map_err(|column| StoreError::corrupt(column, &row.id))
    }
}

impl NewOutboxRow {
    pub(crate) fn new(row: OutboxRow, key: Option<&AcceptanceKey>) -> Self {
        Self {
            row,
            key_hash: key.map(|key| hex(&key.key_hash.0)),
            request: key.map(|key| hex(&key.request)),
        }
    }
}
