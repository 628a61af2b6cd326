//! Conditions on chats and messages in lists.

use crate::{
    chat::model::{Chat, ChatId},
    message::{kind::MessageDirection, model::Message, state::MessageStatus},
    time::Timestamp,
};

/// Conditions on chats. All given conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChatFilter {
    /// Whether the chat has unread messages.
    pub unread: Option<bool>,
}

impl ChatFilter {
    /// Returns true if the chat meets every condition.
    pub fn matches(&self, chat: &Chat) -> bool {
        self.unread.is_none_or(|unread| unread == (chat.unread > 0))
    }
}

/// Conditions on messages. All given conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageFilter {
    /// The message belongs to this chat.
    pub chat: Option<ChatId>,
    /// The message has this direction.
    pub direction: Option<MessageDirection>,
    /// The message is from this time or later.
    pub since: Option<Timestamp>,
    /// The message is from before this time.
    pub until: Option<Timestamp>,
    /// The message has this status.
    pub status: Option<MessageStatus>,
    /// The caller gave the message this reference.
    pub reference: Option<String>,
}

impl MessageFilter {
    /// Returns true if the message meets every condition.
    pub fn matches(&self, message: &Message) -> bool {
        self.chat.is_none_or(|chat| message.chat == chat)
            && self.direction.is_none_or(|direction| message.direction() == direction)
            && self.since.is_none_or(|since| message.at >= since)
            && self.until.is_none_or(|until| message.at < until)
            && self.status.is_none_or(|status| message.state.status() == status)
            && self.reference.as_ref().is_none_or(|text| message.reference.as_ref() == Some(text))
    }
}
