//! Changes of a session's messages, as stores write them.

use crate::{
    chat::model::{Chat, ChatId},
    commit::SystemCommit,
    idempotency::IdempotencyKeyHash,
    message::{
        details::MessageDetails,
        kind::MessageKind,
        message_id::MessageId,
        model::{Message, MessageFlags},
        state::MessageState,
    },
    messaging::state::{ChatName, SessionMessaging},
    outbox::model::OutboxEntry,
    session::version::Version,
    time::Timestamp,
};

/// Two chats that are the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChatMerge {
    /// The chat that becomes a part of the other one.
    pub from: ChatId,
    /// The chat that remains.
    pub into: ChatId,
}

/// The content of a message that could not be decrypted before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveredContent {
    /// Kind of the content.
    pub kind: MessageKind,
    /// Properties.
    pub flags: MessageFlags,
    /// Readable content.
    pub details: MessageDetails,
    /// Encoded content.
    pub content: Option<Vec<u8>>,
}

/// A change of a stored message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageUpdate {
    /// The message.
    pub id: MessageId,
    /// The next state.
    pub state: MessageState,
    /// Time of the change.
    pub updated_at: Timestamp,
    /// The content. `None` if the content stays.
    pub recovered: Option<RecoveredContent>,
}

/// The fingerprint of a request that accepts a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptanceKey {
    /// Hash of the idempotency key.
    pub key_hash: IdempotencyKeyHash,
    /// Hash of the whole request.
    pub request: [u8; 32],
}

/// A new entry of the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOutboxEntry {
    /// The entry.
    pub entry: OutboxEntry,
    /// The fingerprint of the request. `None` for a request without an idempotency key.
    pub key: Option<AcceptanceKey>,
}

/// The next state of a session's messages, and the condition on its stored row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessagingChange {
    /// The next counters and marks.
    pub row: SessionMessaging,
    /// Version that the stored row must have.
    pub expected: Version,
    /// Time of the change.
    pub at: Timestamp,
    /// New and changed chats.
    pub chats: Vec<Chat>,
    /// New and changed names of chats.
    pub names: Vec<ChatName>,
    /// Chats that become one, after [`Self::chats`] is written.
    pub merges: Vec<ChatMerge>,
    /// New messages.
    pub new_messages: Vec<Message>,
    /// Changed messages.
    pub updates: Vec<MessageUpdate>,
    /// New entries of the outbox.
    pub new_entries: Vec<NewOutboxEntry>,
    /// Changed entries of the outbox.
    pub entries: Vec<OutboxEntry>,
}

/// A change of a session's messages with its events.
pub type MessagingCommit = SystemCommit<MessagingChange>;
