//! The table `messages`. Body and content are bytes that [`crate::tables::content`] seals.

use diesel::prelude::*;
use domain::{
    AckLevel, ChatAddress, ChatId, FailureReason, Message, MessageFailure, MessageFlags,
    MessageHeader, MessageId, MessageKind, MessageSender, MessageSource, MessageState, OutboxEntry,
    OutboxState, SessionMessaging, Timestamp, WaMessageId,
};
use serde::{Deserialize, Serialize};

use crate::{
    StoreError,
    rows::{
        column::{from_bigint, from_json, parse_optional, to_bigint, to_json},
        message_json::decode_details,
    },
    schema::messages,
};

/// Stored number of a failed message's level.
pub(crate) const FAILED: i64 = -1;
/// Stored number of a cancelled message's level.
pub(crate) const CANCELLED: i64 = -2;

/// A row of `messages`, without body and content.
#[derive(Queryable, Selectable, QueryableByName, Serialize)]
#[diesel(table_name = messages)]
pub(crate) struct MessageColumns {
    pub(crate) organization: String,
    pub(crate) session: String,
    pub(crate) id: i64,
    pub(crate) chat: i64,
    wa_id: String,
    sender: String,
    sender_alt: Option<String>,
    sender_name: Option<String>,
    source: String,
    kind: String,
    flags: i64,
    hidden: bool,
    level: i64,
    failure: Option<String>,
    pub(crate) at: i64,
    created_at: i64,
    updated_at: i64,
    ephemeral_seconds: i64,
    reference: Option<String>,
}

/// A row of `messages` with its body.
#[derive(Queryable, Selectable, QueryableByName)]
#[diesel(table_name = messages)]
pub(crate) struct MessageRow {
    #[diesel(embed)]
    pub(crate) columns: MessageColumns,
    pub(crate) body: Option<Vec<u8>>,
}

/// Code, reason and time of a failure as stored JSON.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct FailureDocument {
    reason: String,
    code: Option<u16>,
    retry_at: Option<i64>,
}

/// Returns the columns `level` and `failure` of a state.
pub(crate) fn state_columns(state: MessageState) -> Result<(i64, Option<String>), StoreError> {
    let failure = match state {
        MessageState::Reached(level) => return Ok((level.number().into(), None)),
        MessageState::Failed(failure) => failure,
    };
    let level = if failure.reason == FailureReason::Cancelled { CANCELLED } else { FAILED };
    let document = FailureDocument {
        reason: failure.reason.as_str().to_owned(),
        code: failure.code,
        retry_at: failure.retry_at.map(Timestamp::millis),
    };
    Ok((level, Some(to_json("messages.failure", &document)?)))
}

/// Parses the columns `level` and `failure`.
pub(crate) fn state_of(level: i64, failure: Option<&str>) -> Option<MessageState> {
    let Some(failure) = failure else {
        return AckLevel::from_number(level).map(MessageState::Reached);
    };
    let document: FailureDocument = from_json(failure)?;
    Some(MessageState::Failed(MessageFailure {
        reason: FailureReason::parse(&document.reason)?,
        code: document.code,
        retry_at: document.retry_at.map(Timestamp::from_millis),
    }))
}

impl MessageColumns {
    pub(crate) fn new(owner: &SessionMessaging, message: &Message) -> Result<Self, StoreError> {
        let (level, failure) = state_columns(message.state)?;
        Ok(Self {
            organization: owner.organization.to_string(),
            session: owner.session.to_string(),
            id: to_bigint("messages.id", message.id.0)?,
            chat: to_bigint("messages.chat", message.chat.0)?,
            wa_id: message.wa_id.to_string(),
            sender: message.sender.text(),
            sender_alt: message.sender_alt.as_ref().map(ToString::to_string),
            sender_name: message.sender_name.clone(),
            source: message.source.as_str().to_owned(),
            kind: message.kind.as_str().to_owned(),
            flags: message.flags.bits(),
            hidden: message.flags.hidden,
            level,
            failure,
            at: message.at.millis(),
            created_at: message.created_at.millis(),
            updated_at: message.updated_at.millis(),
            ephemeral_seconds: message.ephemeral_seconds.into(),
            reference: message.reference.clone(),
        })
    }

    /// Returns true for messages that berth sends.
    pub(crate) fn is_of_api(&self) -> bool {
        self.source == MessageSource::Api.as_str()
    }

    /// Returns the message as decisions need it.
    pub(crate) fn header(&self, entry: Option<OutboxEntry>) -> Result<MessageHeader, StoreError> {
        let message = self.message().map_err(|column| self.corrupt(column))?;
        Ok(MessageHeader::of(&message, entry))
    }

    /// Returns the message without its content.
    fn message(&self) -> Result<Message, &'static str> {
        Ok(Message {
            id: MessageId(from_bigint(self.id).ok_or("messages.id")?),
            wa_id: WaMessageId::parse(&self.wa_id).ok_or("messages.wa_id")?,
            chat: ChatId(from_bigint(self.chat).ok_or("messages.chat")?),
            sender: MessageSender::parse(&self.sender).ok_or("messages.sender")?,
            sender_alt: parse_optional(self.sender_alt.as_deref(), ChatAddress::parse)
                .ok_or("messages.sender_alt")?,
            sender_name: self.sender_name.clone(),
            source: MessageSource::parse(&self.source).ok_or("messages.source")?,
            // A kind of a later version.
            kind: MessageKind::parse(&self.kind).unwrap_or(MessageKind::Unknown),
            flags: MessageFlags::from_bits(self.flags),
            state: state_of(self.level, self.failure.as_deref()).ok_or("messages.level")?,
            at: Timestamp::from_millis(self.at),
            created_at: Timestamp::from_millis(self.created_at),
            updated_at: Timestamp::from_millis(self.updated_at),
            ephemeral_seconds: from_bigint(self.ephemeral_seconds)
                .ok_or("messages.ephemeral_seconds")?,
            reference: self.reference.clone(),
            outbox: None,
            awaits_ack: false,
            details: None,
            content: None,
        })
    }

    fn corrupt(&self, column: &'static str) -> StoreError {
        StoreError::corrupt(column, &format!("{}/{}", self.session, self.id))
    }
}

/// A message with the opened bytes of its body. `None` for a removed body.
pub(crate) struct OpenedMessage {
    pub(crate) columns: MessageColumns,
    pub(crate) entry: Option<OutboxEntry>,
    pub(crate) body: Option<Vec<u8>>,
}

impl TryFrom<OpenedMessage> for Message {
    type Error = StoreError;

    fn try_from(row: OpenedMessage) -> Result<Self, StoreError> {
        let OpenedMessage { columns, entry, body } = row;
        let details = parse_optional(body, |body| decode_details(&body))
            .ok_or_else(|| columns.corrupt("messages.body"))?;
        let message = columns.message().map_err(|column| columns.corrupt(column))?;
        let awaits_ack = entry.as_ref().is_some_and(|entry| entry.state == OutboxState::Handed);
        let outbox = entry.map(|entry| entry.id);
        Ok(Self { details, outbox, awaits_ack, ..message })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_round_trips() {
        let failure = |reason| MessageFailure {
            reason,
            code: Some(463),
            retry_at: Some(Timestamp::from_millis(7)),
        };
        let failures = FailureReason::ALL.map(|reason| MessageState::Failed(failure(reason)));
        let plain = MessageState::Failed(MessageFailure::of(FailureReason::Expired));
        let reached = AckLevel::ALL.map(MessageState::Reached);
        for state in reached.into_iter().chain(failures).chain([plain]) {
            let (level, failure) = state_columns(state).expect("columns");
            assert_eq!(state_of(level, failure.as_deref()), Some(state));
        }
        let cancelled = state_columns(failures[1]).expect("columns");
        assert_eq!(cancelled.0, CANCELLED);
        assert_eq!(state_of(7, None), None);
        assert_eq!(state_of(FAILED, Some("{}")), None);
    }
}
