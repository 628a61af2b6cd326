//! Messages that the router hands over to a node, and live requests of a session.

use serde::{Deserialize, Serialize};

/// Feature of a node that sends, receives and delivers messages.
pub const FEATURE_MESSAGES: &str = "messages.v1";

/// Messages to send. The node holds them in memory only; the router repeats the request until the
/// journal tells the end of each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SendMessages {
    /// See [`Declaration::epoch`](crate::Declaration::epoch).
    pub epoch: u64,
    /// Phone number of the account that the messages were accepted for. The node refuses the messages
    /// when another account is linked.
    #[serde(default)]
    pub account: Option<String>,
    /// In the order in which the messages of each chat leave.
    pub items: Vec<OutgoingMessage>,
}

/// A message to send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutgoingMessage {
    /// Id of the message at the router. A repeated id is the same message and sends nothing.
    pub outbox: String,
    /// Key of the chat at the router. Messages of one chat leave one after the other.
    pub chat: i64,
    /// Id of the message at WhatsApp. Every attempt uses this id.
    pub wa_id: String,
    /// JID of the recipient.
    pub to: String,
    /// The content.
    pub content: OutgoingContent,
    /// Time in milliseconds for which the recipient sees the account typing before the message leaves.
    #[serde(default)]
    pub typing_ms: Option<u32>,
    /// Lifetime of the message in seconds by the disappearing timer of the chat.
    #[serde(default)]
    pub ephemeral: Option<u32>,
    /// Time after which the node writes the message to WhatsApp neither for the first time nor again,
    /// Unix milliseconds.
    pub not_after: i64,
}

/// The content of a message to send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum OutgoingContent {
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// A kind of a newer router; the node refuses the message.
    #[serde(other)]
    Unknown,
}

/// Answer to [`SendMessages`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessagesTaken {
    /// Messages that the node holds or has sent.
    pub taken: Vec<TakenMessage>,
    /// Messages that the node did not take.
    pub refused: Vec<RefusedMessage>,
}

/// A message that the node holds or has sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TakenMessage {
    /// See [`OutgoingMessage::outbox`].
    pub outbox: String,
    /// State of the message.
    pub state: SendState,
    /// One of [`send_failure`](crate::send_failure), with [`SendState::Rejected`] and
    /// [`SendState::Failed`].
    pub code: Option<String>,
}

/// State of a message at its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SendState {
    /// The message waits for its turn, and was not written to WhatsApp by this process.
    Queued,
    /// The message may have reached WhatsApp; its answer is awaited.
    Written,
    /// Final: WhatsApp has the message.
    Sent,
    /// Final: WhatsApp refused the message.
    Rejected,
    /// Final: the time of the message passed before it was written.
    Expired,
    /// Final: the message may have reached WhatsApp, which did not answer in time.
    Uncertain,
    /// Final: the message cannot be sent and was not written.
    Failed,
    /// Final: the router cancelled the message before it was written.
    Cancelled,
}

/// A message that the node did not take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RefusedMessage {
    /// See [`OutgoingMessage::outbox`].
    pub outbox: String,
    /// The cause.
    pub code: RefusedCode,
}

/// Why a node does not take a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusedCode {
    /// The session is not connected.
    NotWorking,
    /// The node holds its maximum number of messages.
    QueueFull,
    /// Another account is linked.
    OtherAccount,
    /// The node does not know the kind of content.
    Unsupported,
    /// The time of the message has passed.
    Expired,
    /// The recipient or the id is not valid.
    Invalid,
}

/// Answer to the cancellation of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cancelled {
    /// Outcome of the cancellation.
    pub outcome: CancelOutcome,
}

/// Outcome of the cancellation of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CancelOutcome {
    /// The message was not written to WhatsApp by this process and will not be.
    Gone,
    /// The message was written to WhatsApp, or has ended.
    TooLate,
    /// The node does not know the message, and refuses it from now on. An earlier process of the node
    /// may have sent it.
    #[serde(other)]
    Unknown,
}

/// A live request of a session; the node answers within 10 s.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ask {
    /// See [`Declaration::epoch`](crate::Declaration::epoch).
    pub epoch: u64,
    /// The request.
    pub ask: Question,
}

/// A live request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Question {
    /// Which addresses are on WhatsApp.
    CheckContacts {
        /// Phone numbers (digits) or JIDs of people, at most 50.
        addresses: Vec<String>,
    },
    /// Tells the author of messages that they were read.
    MarkRead {
        /// JID of the chat.
        chat: String,
        /// In a group, JID of the author of all these messages.
        #[serde(default)]
        sender: Option<String>,
        /// WhatsApp's ids of the messages, at most 256.
        ids: Vec<String>,
    },
    /// Shows in a chat what the account does.
    ChatPresence {
        /// JID of the chat.
        chat: String,
        /// What the partner sees.
        state: ChatActivity,
    },
    /// A request of a newer router; the node refuses it.
    #[serde(other)]
    Unknown,
}

/// What the partner of a chat sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ChatActivity {
    /// The account types.
    Composing,
    /// The account records a voice message.
    Recording,
    /// Neither.
    Paused,
}

/// Answer to [`Ask`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Answer {
    /// Answer to [`Question::CheckContacts`].
    Contacts {
        /// One entry for each address, in the same order.
        contacts: Vec<CheckedContact>,
    },
    /// The request was sent to WhatsApp.
    Done,
}

/// An address as WhatsApp knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckedContact {
    /// The address of the request.
    pub asked: String,
    /// Whether WhatsApp has an account with this address.
    pub registered: bool,
    /// Canonical JID of the account: the address to write to, and the only normalization of a number.
    pub jid: Option<String>,
    /// LID of the account, as a JID.
    pub lid: Option<String>,
    /// Whether the account is a business account.
    #[serde(default)]
    pub business: bool,
}
