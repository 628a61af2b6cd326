//! An entry of the outbox, as stores keep it.

use crate::{
    chat::model::ChatId,
    id::{OutboxId, WaMessageId},
    message::message_id::MessageId,
    time::Timestamp,
};

/// State of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OutboxState {
    /// Waits for its turn. Never handed to a node, or refused by each node.
    Queued,
    /// Handed to a node; WhatsApp has not acknowledged the message.
    Handed,
    /// Acknowledged by WhatsApp, failed, or cancelled. The message says which.
    Done,
}

impl OutboxState {
    /// Returns the stable name, as stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Handed => "handed",
            Self::Done => "done",
        }
    }

    /// Returns the state with this name, or `None`.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Queued, Self::Handed, Self::Done].into_iter().find(|state| state.as_str() == text)
    }
}

/// A message that berth sends. Its content is that of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxEntry {
    /// Id of the entry.
    pub id: OutboxId,
    /// The message.
    pub message: MessageId,
    /// Id of the message at WhatsApp, chosen when the message was accepted. Every attempt uses it.
    pub wa_id: WaMessageId,
    /// Chat of the message. At most one message of a chat is handed over at a time.
    pub chat: ChatId,
    /// Phone number of the account that the message was accepted for, digits only. The message
    /// leaves from no other number.
    pub account: String,
    /// State.
    pub state: OutboxState,
    /// Duration of the typing indicator before the message, in milliseconds. `None` for the setting
    /// of the session.
    pub typing_millis: Option<u32>,
    /// Time of the acceptance.
    pub accepted_at: Timestamp,
    /// Earliest time of the next step.
    pub due: Timestamp,
    /// Time after which the message is not handed over for the first time.
    pub expires_at: Timestamp,
    /// Time of the first hand-over.
    pub first_handed_at: Option<Timestamp>,
    /// Time of the last hand-over.
    pub handed_at: Option<Timestamp>,
    /// Number of hand-overs.
    pub attempts: u32,
}
