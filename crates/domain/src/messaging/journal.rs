//! Deliveries of a node's journal.

use std::fmt;

use crate::{
    id::{GatewayId, OutboxId, SessionId, WaMessageId},
    message::{
        address::ChatAddress,
        details::MessageDetails,
        kind::{MessageKind, MessageSource},
        state::AckLevel,
    },
    time::Timestamp,
};

/// Maximum number of characters of the name that a node gives a journal.
const MAX_JOURNAL: usize = 64;

/// Name of a journal. Sequence numbers of one journal are never used again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalName {
    /// Node that has the journal.
    pub node: GatewayId,
    /// Name that the node gives each journal that it creates.
    pub file: String,
}

impl JournalName {
    /// Returns the name of a node's journal. The name of the file is cut at 64 characters.
    pub fn new(node: &GatewayId, file: &str) -> Self {
        let visible = file.chars().filter(|c| !c.is_control());
        Self { node: node.clone(), file: visible.take(MAX_JOURNAL).collect() }
    }

    /// Returns the name with this text, or `None`.
    pub fn parse(text: &str) -> Option<Self> {
        let (node, file) = text.split_once('/')?;
        Some(Self { node: GatewayId::parse(node)?, file: file.to_owned() })
    }
}

/// Writes the stored form.
impl fmt::Display for JournalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.node, self.file)
    }
}

/// Items of a journal that belong to one session, in the order of their sequence numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalDelivery {
    /// The session.
    pub session: SessionId,
    /// The items.
    pub items: Vec<JournalItem>,
}

/// An item of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalItem {
    /// Number of the item, which grows within a session.
    pub sequence: u64,
    /// Time at which the node wrote the item.
    pub at: Timestamp,
    /// The event at WhatsApp.
    pub fact: JournalFact,
}

/// An event at WhatsApp, as a node reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JournalFact {
    /// A message arrived, or another device of the account sent one.
    Message(Box<InboundMessage>),
    /// A message arrived that cannot be decrypted.
    Undecryptable(Box<UndecryptableMessage>),
    /// WhatsApp answered to a message of berth.
    Ack(ServerAck),
    /// Messages were delivered or read.
    Receipt(InboundReceipt),
    /// Addresses or names of people became known.
    Contacts(Vec<ContactFact>),
    /// The disappearing timer of a chat changed.
    Timer(TimerFact),
    /// The node gave up a message of berth, or learnt its fate without an answer of WhatsApp.
    SendResult(SendResult),
    /// A kind that this version does not recognize.
    Unknown,
}

/// Addresses of a chat or a person: the one that WhatsApp used, and the other one if it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressPair {
    /// The address that WhatsApp used.
    pub used: ChatAddress,
    /// Another address of the same chat or person.
    pub other: Option<ChatAddress>,
}

impl AddressPair {
    /// Returns both addresses.
    pub fn iter(&self) -> impl Iterator<Item = &ChatAddress> + Clone {
        [Some(&self.used), self.other.as_ref()].into_iter().flatten()
    }
}

/// Identity and origin of a message that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageOrigin {
    /// Id at WhatsApp.
    pub wa_id: WaMessageId,
    /// The chat.
    pub chat: AddressPair,
    /// The sender. `None` for the account itself.
    pub sender: Option<AddressPair>,
    /// Name that the sender shows.
    pub sender_name: Option<String>,
    /// Origin.
    pub source: MessageSource,
    /// Time of the message at WhatsApp.
    pub sent_at: Timestamp,
}

/// A message that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundMessage {
    /// Identity and origin.
    pub origin: MessageOrigin,
    /// Kind of the content.
    pub kind: MessageKind,
    /// Readable content.
    pub details: MessageDetails,
    /// Encoded content. `None` if the body is the whole content.
    pub content: Option<Vec<u8>>,
    /// Whether the message was forwarded.
    pub forwarded: bool,
    /// Whether the message can be viewed once.
    pub view_once: bool,
    /// Disappearing timer of the message, in seconds.
    pub ephemeral_seconds: u32,
    /// Whether the message waited at WhatsApp while the session was not connected.
    pub offline: bool,
}

/// A message that cannot be decrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UndecryptableMessage {
    /// Identity and origin.
    pub origin: MessageOrigin,
    /// Name of the cause.
    pub reason: String,
    /// Whether WhatsApp shows no placeholder for the message.
    pub hidden: bool,
}

/// Answer of WhatsApp to a message of berth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAck {
    /// Entry of the outbox.
    pub outbox: OutboxId,
    /// Id at WhatsApp.
    pub wa_id: WaMessageId,
    /// Time at WhatsApp.
    pub at: Timestamp,
    /// Code of a refusal. `None` if WhatsApp accepted the message.
    pub refusal: Option<u16>,
}

/// Level of a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiptLevel {
    /// The receiver's side reached this level.
    Receiver(AckLevel),
    /// The account itself reached this level on another device.
    Account(AckLevel),
}

/// A receipt for messages of one chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundReceipt {
    /// The chat.
    pub chat: AddressPair,
    /// The member of a group that the receipt comes from. `None` in a chat of two.
    pub participant: Option<AddressPair>,
    /// Ids of the messages at WhatsApp.
    pub wa_ids: Vec<WaMessageId>,
    /// The level.
    pub level: ReceiptLevel,
    /// Time at WhatsApp.
    pub at: Timestamp,
}

/// Addresses and name of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactFact {
    /// Address by phone number.
    pub phone: Option<ChatAddress>,
    /// Address by private number.
    pub lid: Option<ChatAddress>,
    /// Name in the account's contacts.
    pub name: Option<String>,
}

/// A change of a chat's disappearing timer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimerFact {
    /// The chat.
    pub chat: AddressPair,
    /// The new value in seconds. 0 is off.
    pub seconds: u32,
    /// Time of the change at WhatsApp.
    pub changed_at: Timestamp,
}

/// Fate of a message of berth without an answer of WhatsApp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendResult {
    /// Entry of the outbox.
    pub outbox: OutboxId,
    /// Id at WhatsApp.
    pub wa_id: WaMessageId,
    /// The fate.
    pub outcome: SendOutcome,
}

/// Fate of a message at a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendOutcome {
    /// A receipt proves that WhatsApp has the message.
    Sent,
    /// Never written to WhatsApp, and its time is over.
    Expired,
    /// Written to WhatsApp, and not acknowledged in time.
    Uncertain,
    /// Cancelled before it was written.
    Cancelled,
    /// The message could not be encrypted.
    EncryptionFailed,
    /// The node does not accept the message.
    Invalid,
}
