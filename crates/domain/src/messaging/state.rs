//! The stored state that a decision about one session's messages needs.

use std::collections::BTreeSet;

use crate::{
    chat::model::{Chat, ChatId},
    id::{GatewayId, OrganizationId, OutboxId, SessionId, WaMessageId},
    message::{
        address::ChatAddress,
        kind::MessageSource,
        message_id::MessageId,
        model::{Message, MessageFlags, MessageSender},
        state::MessageState,
    },
    messaging::journal::JournalName,
    outbox::model::OutboxEntry,
    session::version::Version,
    time::Timestamp,
};

/// Counters and marks of one session's messages. Exists as long as the session; every change of the
/// session's messages increases the version, and no change touches the session itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionMessaging {
    /// Organization of the session.
    pub organization: OrganizationId,
    /// The session.
    pub session: SessionId,
    /// Number of the change. Every write checks it.
    pub version: Version,
    /// Sequence number of the newest event of stream `messages`.
    pub sequence: u64,
    /// Number of the newest chat.
    pub last_chat: u64,
    /// Number of the newest message.
    pub last_message: u64,
    /// Phone number of the account that was linked at the last delivery, digits only.
    pub account: Option<String>,
    /// The journal that was delivered last.
    pub journal: Option<JournalName>,
    /// Sequence number in that journal up to which every item is stored.
    pub journal_sequence: u64,
    /// Number of messages in the outbox that are not sent and have not failed.
    pub queued: u64,
    /// Time until which no first contacts are sent.
    pub paused_until: Option<Timestamp>,
    /// Time at which the outbox must be processed. `None` if no step is pending.
    pub outbox_due: Option<Timestamp>,
}

impl SessionMessaging {
    /// Returns the state of a session without messages.
    pub fn new(organization: OrganizationId, session: SessionId) -> Self {
        Self {
            organization,
            session,
            version: Version(0),
            sequence: 0,
            last_chat: 0,
            last_message: 0,
            account: None,
            journal: None,
            journal_sequence: 0,
            queued: 0,
            paused_until: None,
            outbox_due: None,
        }
    }

    /// Returns true if the item of a journal is stored.
    pub fn has_stored(&self, journal: &JournalName, sequence: u64) -> bool {
        self.journal.as_ref() == Some(journal) && sequence <= self.journal_sequence
    }
}

/// A name of a chat, by which callers and WhatsApp address it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChatNameText {
    /// An address of WhatsApp.
    Address(ChatAddress),
    /// Digits that a caller gave, and that WhatsApp translated to an account.
    Digits(String),
}

impl ChatNameText {
    /// Returns the stored text.
    pub fn text(&self) -> String {
        match self {
            Self::Address(address) => address.to_string(),
            Self::Digits(digits) => digits.clone(),
        }
    }

    /// Returns the name with this text, or `None`.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(address) = ChatAddress::parse(text) {
            return Some(Self::Address(address));
        }
        let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_digits.then(|| Self::Digits(text.to_owned()))
    }
}

impl From<&ChatAddress> for ChatNameText {
    fn from(address: &ChatAddress) -> Self {
        Self::Address(address.clone())
    }
}

/// A name that leads to a chat of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatName {
    /// Phone number of the account that has the chat, digits only. Empty if unknown.
    pub account: String,
    /// The name.
    pub name: ChatNameText,
    /// The chat. `None` for digits without an account at WhatsApp.
    pub chat: Option<ChatId>,
    /// Time at which WhatsApp confirmed the digits. `None` for other names.
    pub checked_at: Option<Timestamp>,
}

/// A stored message without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageHeader {
    /// Number of the message.
    pub id: MessageId,
    /// Id at WhatsApp.
    pub wa_id: WaMessageId,
    /// Chat of the message.
    pub chat: ChatId,
    /// Sender of the message.
    pub sender: MessageSender,
    /// Origin.
    pub source: MessageSource,
    /// Properties.
    pub flags: MessageFlags,
    /// State.
    pub state: MessageState,
    /// Text of the caller.
    pub reference: Option<String>,
    /// Entry in the outbox, of messages that berth sends.
    pub entry: Option<OutboxEntry>,
}

impl MessageHeader {
    /// Returns the header of a message. `entry` is the one in the outbox, if there is one.
    pub fn of(message: &Message, entry: Option<OutboxEntry>) -> Self {
        Self {
            id: message.id,
            wa_id: message.wa_id.clone(),
            chat: message.chat,
            sender: message.sender.clone(),
            source: message.source,
            flags: message.flags,
            state: message.state,
            reference: message.reference.clone(),
            entry,
        }
    }

    /// Returns the id of the entry in the outbox.
    pub fn outbox(&self) -> Option<&OutboxId> {
        self.entry.as_ref().map(|entry| &entry.id)
    }
}

/// The keys of the state that a decision about one session needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessagingLookup {
    /// The session.
    pub session: SessionId,
    /// Names of chats.
    pub names: BTreeSet<ChatNameText>,
    /// Ids of messages at WhatsApp.
    pub wa_ids: BTreeSet<WaMessageId>,
}

/// The stored state that a decision about one session needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessagingState {
    /// Counters and marks.
    pub row: SessionMessaging,
    /// Phone number of the linked account, digits only.
    pub phone: Option<String>,
    /// Node of the session.
    pub gateway: Option<GatewayId>,
    /// Whether received messages are marked as read.
    pub auto_read: bool,
    /// Those of the names that exist, of any account.
    pub names: Vec<ChatName>,
    /// The chats of these names, and the chats of the messages.
    pub chats: Vec<Chat>,
    /// Messages with one of the ids, in any chat.
    pub messages: Vec<MessageHeader>,
}

impl MessagingState {
    /// Returns the phone number of the account whose chats a delivery changes. Empty if no account
    /// is known.
    pub fn account(&self) -> &str {
        self.phone.as_deref().or(self.row.account.as_deref()).unwrap_or_default()
    }

    /// Returns true if the node may deliver items of the session: the node has the session or had
    /// it last.
    pub fn accepts_node(&self, node: &GatewayId) -> bool {
        let delivered = self.row.journal.as_ref().map(|journal| &journal.node);
        self.gateway.as_ref().is_none_or(|gateway| gateway == node) || delivered == Some(node)
    }
}
