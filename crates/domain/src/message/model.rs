//! The message as stores keep it.

use crate::{
    chat::model::ChatId,
    id::{OutboxId, WaMessageId},
    message::{
        address::ChatAddress,
        details::MessageDetails,
        kind::{MessageDirection, MessageKind, MessageSource},
        message_id::MessageId,
        state::MessageState,
    },
    time::Timestamp,
};

/// Sender of a message. Chat, sender and id at WhatsApp identify a message: a member of a chat can
/// use the id of another member's message.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MessageSender {
    /// The account of the session.
    Account,
    /// The partner in a chat of two, whatever the address of the partner is.
    Partner,
    /// A member of a group, by the address that WhatsApp uses in the group.
    Member(ChatAddress),
}

impl MessageSender {
    /// Returns the stored text.
    pub fn text(&self) -> String {
        match self {
            Self::Account => String::new(),
            Self::Partner => "partner".to_owned(),
            Self::Member(address) => address.to_string(),
        }
    }

    /// Returns the sender with this text, or `None`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "" => Some(Self::Account),
            "partner" => Some(Self::Partner),
            address => ChatAddress::parse(address).map(Self::Member),
        }
    }
}

/// Properties of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent properties")]
pub struct MessageFlags {
    /// The message was forwarded.
    pub forwarded: bool,
    /// The message can be viewed once.
    pub view_once: bool,
    /// The message could not be decrypted.
    pub undecryptable: bool,
    /// The message is not listed: an add-on, or an undecryptable message for which WhatsApp shows no
    /// placeholder.
    pub hidden: bool,
    /// The message waited at WhatsApp while the session was not connected.
    pub offline: bool,
}

impl MessageFlags {
    /// Returns the flags as one stored number.
    pub fn bits(self) -> i64 {
        let Self { forwarded, view_once, undecryptable, hidden, offline } = self;
        [forwarded, view_once, undecryptable, hidden, offline]
            .into_iter()
            .enumerate()
            .map(|(index, flag)| i64::from(flag) << index)
            .sum()
    }

    /// Returns the flags of a stored number. Unknown bits are ignored.
    pub fn from_bits(bits: i64) -> Self {
        let flag = |index: u32| bits >> index & 1 == 1;
        Self {
            forwarded: flag(0),
            view_once: flag(1),
            undecryptable: flag(2),
            hidden: flag(3),
            offline: flag(4),
        }
    }
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Number of the message.
    pub id: MessageId,
    /// Id at WhatsApp.
    pub wa_id: WaMessageId,
    /// Chat of the message.
    pub chat: ChatId,
    /// Sender of the message.
    pub sender: MessageSender,
    /// Second address of a member of a group, if known.
    pub sender_alt: Option<ChatAddress>,
    /// Name that the sender shows.
    pub sender_name: Option<String>,
    /// Origin of the message.
    pub source: MessageSource,
    /// Kind of the content.
    pub kind: MessageKind,
    /// Properties.
    pub flags: MessageFlags,
    /// State.
    pub state: MessageState,
    /// Time of the message at WhatsApp; of a queued message, the time of acceptance.
    pub at: Timestamp,
    /// Time at which berth stored the message.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
    /// Time after which WhatsApp's clients remove the message, in seconds from its display. 0 for
    /// ever.
    pub ephemeral_seconds: u32,
    /// Text of the caller that events and lists repeat.
    pub reference: Option<String>,
    /// Id of the entry in the outbox. `None` for messages that berth did not send.
    pub outbox: Option<OutboxId>,
    /// Whether the message was handed to a node and WhatsApp has not acknowledged it.
    pub awaits_ack: bool,
    /// Readable content. `None` if the content was removed, or could not be decrypted.
    pub details: Option<MessageDetails>,
    /// Encoded content as WhatsApp delivered it, without thumbnails. `None` if the body is the whole
    /// content, or the content was removed.
    pub content: Option<Vec<u8>>,
}

impl Message {
    /// Returns the direction.
    pub fn direction(&self) -> MessageDirection {
        self.source.direction()
    }

    /// Returns the text or the caption.
    pub fn body(&self) -> Option<&str> {
        self.details.as_ref()?.body.as_deref()
    }

    /// Returns true if lists contain the message.
    pub fn is_listed(&self) -> bool {
        !self.flags.hidden
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_round_trip_as_a_number() {
        for bits in 0..32 {
            assert_eq!(MessageFlags::from_bits(bits).bits(), bits);
        }
        assert_eq!(MessageFlags::from_bits(32), MessageFlags::default());
    }

    #[test]
    fn sender_round_trips_as_text() {
        let member = MessageSender::Member(ChatAddress::Lid("99".to_owned()));
        for sender in [MessageSender::Account, MessageSender::Partner, member] {
            assert_eq!(MessageSender::parse(&sender.text()), Some(sender));
        }
        assert_eq!(MessageSender::parse("other"), None);
    }
}
