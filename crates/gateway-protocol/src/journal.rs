//! Deliveries: what a node heard from WhatsApp, in the order of its journal, at least once.
//!
//! A delivery is a log, in contrast to a snapshot: the router stores every item before it answers, and
//! the node keeps an item until the router has acknowledged it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::message_item::{MessageItem, MessageSource};

/// Items of a node's journal, on their way to the router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deliveries {
    /// See [`Register::incarnation`](crate::Register::incarnation).
    pub incarnation: String,
    /// Random text, new with every new journal file. Sequence numbers of different journals cannot be
    /// compared.
    pub journal: String,
    /// The next items of some sessions; each session at most once.
    pub deliveries: Vec<SessionDelivery>,
}

/// The next items of one session. No other request with items of this session is in flight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionDelivery {
    /// Session id.
    pub session: String,
    /// Sequence number of the oldest item of the session in the journal: the router has acknowledged
    /// all earlier ones.
    pub from: u64,
    /// Oldest first; not empty.
    pub items: Vec<JournalEntry>,
}

/// An item with its place in the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JournalEntry {
    /// Sequence number: grows within a session, with gaps, and is never used again in one journal.
    pub seq: u64,
    /// Time at which the node learned of the item, by its clock, Unix milliseconds.
    pub at: i64,
    /// The item itself.
    #[serde(flatten)]
    pub item: JournalItem,
}

/// One fact about the messages of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum JournalItem {
    /// A message arrived, or the owner of the account wrote one on another device. A repetition of the
    /// same chat, sender and id is the same message.
    Message(Box<MessageItem>),
    /// A message arrived that the node cannot read. The message may follow later, with
    /// [`MessageItem::recovered`] or without.
    Undecryptable(UndecryptableItem),
    /// WhatsApp accepted or refused a message of this session.
    Ack(AckItem),
    /// Somebody received, read or played messages of this session, or the owner of the account read
    /// messages on another device.
    Receipt(ReceiptItem),
    /// Names of people that belong together.
    Contact(ContactItem),
    /// The disappearing timer of a chat was set.
    Chat(ChatItem),
    /// A message of this session ended without an answer of WhatsApp.
    SendResult(SendResultItem),
    /// A kind of a newer node.
    #[serde(other)]
    Unknown,
}

/// A message without readable content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UndecryptableItem {
    /// WhatsApp's id of the message; unique with chat and sender only.
    pub wa_id: String,
    /// See [`MessageItem::chat`].
    pub chat: String,
    /// See [`MessageItem::chat_alt`].
    pub chat_alt: Option<String>,
    /// See [`MessageItem::sender`].
    pub sender: Option<String>,
    /// See [`MessageItem::sender_alt`].
    pub sender_alt: Option<String>,
    /// See [`MessageItem::sender_name`].
    pub sender_name: Option<String>,
    /// Device of the author.
    pub source: MessageSource,
    /// WhatsApp's time of the message, Unix milliseconds.
    pub sent_at: i64,
    /// Why the content is missing.
    pub reason: UndecryptableReason,
    /// Whether WhatsApp shows nothing in place of the message, because the message only changes
    /// another one.
    pub hidden: bool,
}

/// Why a message cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum UndecryptableReason {
    /// The keys do not fit. The node asks the sender to encrypt the message again.
    Decryption,
    /// WhatsApp sent no content. The node asks the phone for the message.
    Unavailable,
    /// A view-once message, which only phones receive.
    ViewOnce,
    /// A message of a hosted business account.
    Hosted,
    /// A message of a bot.
    Bot,
    /// The message violates the format of WhatsApp. Also the value for reasons of a newer node.
    #[serde(other)]
    Invalid,
}

/// WhatsApp's answer to a message of this session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AckItem {
    /// See [`OutgoingMessage::outbox`](crate::OutgoingMessage::outbox).
    pub outbox: String,
    /// WhatsApp's id of the message.
    pub wa_id: String,
    /// WhatsApp's time of the message, Unix milliseconds, if the answer names one.
    pub sent_at: Option<i64>,
    /// WhatsApp's error code. `None`: WhatsApp accepted the message.
    pub code: Option<u32>,
    /// The meaning of the code, one of [`send_failure`]. `None`: accepted.
    pub reason: Option<String>,
}

/// Reasons of a message that WhatsApp refused or that was never sent.
pub mod send_failure {
    /// WhatsApp limits the account's first messages to people (code 463).
    pub const REACHOUT_LIMITED: &str = "reachout_limited";
    /// WhatsApp refused the message (codes 400, 405, 473, 479 and all without another reason).
    pub const REJECTED: &str = "rejected";
    /// WhatsApp does not know the recipient (code 404).
    pub const RECIPIENT_UNAVAILABLE: &str = "recipient_unavailable";
    /// The message cannot be encrypted for the recipient.
    pub const ENCRYPTION_FAILED: &str = "encryption_failed";
    /// The engine refuses the message.
    pub const INVALID: &str = "invalid";
}

/// Receipts of messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReceiptItem {
    /// See [`MessageItem::chat`].
    pub chat: String,
    /// See [`MessageItem::chat_alt`].
    pub chat_alt: Option<String>,
    /// In a group, who received or read the messages.
    pub participant: Option<String>,
    /// Another name of `participant`.
    pub participant_alt: Option<String>,
    /// WhatsApp's ids of the messages.
    pub ids: Vec<String>,
    /// What happened to the messages.
    pub level: ReceiptLevel,
    /// WhatsApp's time of the receipt, Unix milliseconds.
    pub received_at: i64,
    /// Whether WhatsApp had queued the receipt while the session was not connected.
    pub offline: bool,
}

/// What happened to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ReceiptLevel {
    /// A device of the recipient has the message.
    Delivered,
    /// The recipient has read the message.
    Read,
    /// The recipient has played the message.
    Played,
    /// The owner of this account has read the messages on another device.
    ReadSelf,
    /// The owner of this account has played the messages on another device.
    PlayedSelf,
    /// A level of a newer node.
    #[serde(other)]
    Unknown,
}

/// Names of people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContactItem {
    /// At most 200 people.
    pub contacts: Vec<ContactNames>,
}

/// The names of one person; those that are present belong together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContactNames {
    /// User part of the LID.
    pub lid: Option<String>,
    /// Phone number, digits only.
    pub phone: Option<String>,
    /// Display name that the person chose.
    pub name: Option<String>,
}

/// The settings of a chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChatItem {
    /// See [`MessageItem::chat`].
    pub chat: String,
    /// See [`MessageItem::chat_alt`].
    pub chat_alt: Option<String>,
    /// Lifetime of new messages in seconds; 0 switches the timer off.
    pub ephemeral_seconds: u32,
    /// WhatsApp's time of the change, Unix milliseconds.
    pub changed_at: i64,
    /// Who set the timer. `None`: the owner of this account.
    pub sender: Option<String>,
}

/// The end of a message without an answer of WhatsApp.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SendResultItem {
    /// See [`OutgoingMessage::outbox`](crate::OutgoingMessage::outbox).
    pub outbox: String,
    /// WhatsApp's id of the message.
    pub wa_id: String,
    /// A final state.
    pub state: crate::SendState,
    /// One of [`send_failure`], with [`SendState::Failed`](crate::SendState::Failed).
    pub code: Option<String>,
}

/// Answer to [`Deliveries`]: the router has stored the items.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivered {
    /// The newest stored item of each session; all earlier ones are stored too. The node sends the items
    /// of a session that is missing here again.
    pub through: BTreeMap<String, u64>,
    /// Sessions that no longer exist; the node removes all their items.
    pub gone: Vec<String>,
}

/// The state of a node's journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JournalStats {
    /// Number of items that the router has not acknowledged.
    pub items: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// Age of the oldest of them in milliseconds. `None`: there is none.
    pub oldest_ms: Option<u64>,
    /// Items that the router acknowledged since the start of the node's process.
    pub delivered: u64,
    /// Failed requests since then; their items are sent again.
    pub retried: u64,
    /// Items since then that the router refused for their session and that are sent again.
    pub refused: u64,
    /// Receipts since then that the full journal did not take.
    pub dropped_receipts: u64,
}
