//! Messages to nodes, and live requests of a session.

use std::time::Duration;

use async_trait::async_trait;

use crate::{
    gateway::node::Node, id::SessionId, ports::session_control::GatewayError, time::Timestamp,
};

/// Hands messages to gateway nodes and makes live requests. Every call can be repeated, carries the
/// epoch of the session, and ends within a deadline of the adapter.
#[async_trait]
pub trait MessagingControl: Send + Sync {
    /// Hands messages over. The node holds them in memory only; the end of each arrives in its
    /// journal. A repeated outbox id sends nothing and returns the state of the message. Returns one
    /// entry for each message, in no particular order.
    ///
    /// # Errors
    /// [`GatewayError::Stale`] if the node knows a newer epoch, [`GatewayError::Unknown`] if the node
    /// does not have the session.
    async fn send(
        &self,
        node: &Node,
        session: &SessionId,
        messages: &OutboundMessages,
    ) -> Result<Vec<HandOver>, GatewayError>;

    /// Cancels a message that the node has not written to WhatsApp.
    ///
    /// # Errors
    /// Those of [`Self::send`].
    async fn cancel(
        &self,
        node: &Node,
        session: &SessionId,
        epoch: u64,
        outbox: &str,
    ) -> Result<NodeCancellation, GatewayError>;

    /// Asks WhatsApp which phone numbers (digits) or JIDs have an account. At most 50; the answers
    /// have the order of the addresses.
    ///
    /// # Errors
    /// [`GatewayError::Unavailable`] if the session is not connected or WhatsApp does not answer.
    async fn check_contacts(
        &self,
        node: &Node,
        session: &SessionId,
        epoch: u64,
        addresses: &[String],
    ) -> Result<Vec<ContactCheck>, GatewayError>;

    /// Tells the author of at most 256 messages of a chat that they were read. `author` is the author
    /// of all of them in a group.
    ///
    /// # Errors
    /// [`GatewayError::Unavailable`] if the session is not connected.
    async fn mark_read(
        &self,
        node: &Node,
        session: &SessionId,
        epoch: u64,
        read: &ReadMessages,
    ) -> Result<(), GatewayError>;

    /// Shows in a chat what the account does; the partner sees the activity for about 10 s.
    ///
    /// # Errors
    /// [`GatewayError::Unavailable`] if the session is not connected.
    async fn chat_presence(
        &self,
        node: &Node,
        session: &SessionId,
        epoch: u64,
        chat: &str,
        activity: ChatActivity,
    ) -> Result<(), GatewayError>;
}

/// Messages of one session for its node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboundMessages {
    /// Epoch of the session.
    pub epoch: u64,
    /// Phone number of the account that the messages were accepted for, digits only. The node refuses
    /// the messages when another account is linked.
    pub account: Option<String>,
    /// In the order in which the messages of each chat leave.
    pub messages: Vec<OutboundMessage>,
}

/// A message for a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboundMessage {
    /// Id in the outbox.
    pub outbox: String,
    /// Key of the chat. Messages of one chat leave one after the other.
    pub chat: u64,
    /// Id at WhatsApp, the same in every attempt.
    pub wa_id: String,
    /// JID of the recipient.
    pub to: String,
    /// The text, 1 to 65,536 bytes.
    pub text: String,
    /// How long the recipient sees the account typing before the message leaves; at most 25 s.
    pub typing: Option<Duration>,
    /// Lifetime in seconds by the disappearing timer of the chat.
    pub ephemeral_seconds: Option<u32>,
    /// Time after which the node writes the message neither for the first time nor again.
    pub not_after: Timestamp,
}

/// What the node answered about one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandOver {
    /// See [`OutboundMessage::outbox`].
    pub outbox: String,
    /// The outcome.
    pub outcome: HandOverOutcome,
}

/// Outcome of a hand-over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandOverOutcome {
    /// The node holds the message or has sent it.
    Taken(NodeMessageState),
    /// The node did not take the message.
    Refused(HandOverRefusal),
}

/// State of a message at its node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeMessageState {
    /// Not written to WhatsApp by the present process of the node.
    Queued,
    /// May have reached WhatsApp; its answer is awaited.
    Written,
    /// Final: WhatsApp has the message.
    Sent,
    /// Final: WhatsApp refused the message, for this reason.
    Rejected(String),
    /// Final: the time of the message passed before it was written.
    Expired,
    /// Final: the message may have reached WhatsApp, which did not answer in time.
    Uncertain,
    /// Final: the message cannot be sent, for this reason, and was not written.
    Failed(String),
    /// Final: cancelled before it was written.
    Cancelled,
}

/// Why a node does not take a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandOverRefusal {
    /// The session is not connected.
    NotWorking,
    /// The node holds its maximum number of messages of the session.
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

/// Outcome of a cancellation at the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeCancellation {
    /// The present process of the node has not written the message and will not.
    Gone,
    /// The message was written, or has ended.
    TooLate,
    /// The node does not know the message and refuses it from now on. An earlier process may have
    /// sent it.
    Unknown,
}

/// An address as WhatsApp knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactCheck {
    /// The address of the request.
    pub asked: String,
    /// Whether WhatsApp has an account with this address.
    pub registered: bool,
    /// Canonical JID of the account: the only normalization of a number.
    pub jid: Option<String>,
    /// LID of the account, as a JID.
    pub lid: Option<String>,
    /// Whether the account is a business account.
    pub business: bool,
}

/// Messages of one chat that were read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadMessages {
    /// JID of the chat.
    pub chat: String,
    /// In a group, JID of the author of all these messages.
    pub author: Option<String>,
    /// Ids at WhatsApp, at most 256.
    pub ids: Vec<String>,
}

/// What the partner of a chat sees of the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChatActivity {
    /// The account types.
    Composing,
    /// The account records a voice message.
    Recording,
    /// Neither.
    Paused,
}
