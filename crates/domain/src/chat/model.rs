//! The chat as stores keep it.

use std::fmt;

use crate::{
    message::{address::ChatAddress, message_id::MessageId},
    time::Timestamp,
};

/// Number of a chat within its session, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChatId(pub u64);

impl fmt::Display for ChatId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Kind of a chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChatKind {
    /// A chat of two.
    Dm,
    /// A group.
    Group,
}

impl ChatKind {
    /// Returns the stable name, as stored and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dm => "dm",
            Self::Group => "group",
        }
    }

    /// Returns the kind with this name, or `None`.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Dm, Self::Group].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// The disappearing timer of a chat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChatTimer {
    /// Seconds after which clients remove a message. 0 is off.
    pub seconds: u32,
    /// Time of the last change.
    pub changed_at: Timestamp,
}

/// A chat of one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chat {
    /// Number of the chat.
    pub id: ChatId,
    /// Phone number of the linked account that has the chat, digits only. Empty if unknown.
    pub account: String,
    /// Address by phone number.
    pub phone: Option<ChatAddress>,
    /// Address by private number.
    pub lid: Option<ChatAddress>,
    /// Address of a group.
    pub group: Option<ChatAddress>,
    /// Name in the account's contacts.
    pub contact_name: Option<String>,
    /// Name that the partner shows.
    pub push_name: Option<String>,
    /// Number of received messages that the account has not read.
    pub unread: u64,
    /// Time of the last listed message, or of the creation.
    pub last_at: Timestamp,
    /// The last listed message.
    pub last_message: Option<MessageId>,
    /// The disappearing timer.
    pub timer: ChatTimer,
    /// Whether the partner has written to the account. A chat without a message of the partner is a
    /// first contact.
    pub has_inbound: bool,
    /// The chat that this chat is a part of. `None` for a chat of its own.
    pub merged_into: Option<ChatId>,
}

impl Chat {
    /// Creates a chat without messages.
    pub(crate) fn new(id: ChatId, account: &str, now: Timestamp) -> Self {
        Self {
            id,
            account: account.to_owned(),
            phone: None,
            lid: None,
            group: None,
            contact_name: None,
            push_name: None,
            unread: 0,
            last_at: now,
            last_message: None,
            timer: ChatTimer::default(),
            has_inbound: false,
            merged_into: None,
        }
    }

    /// Returns the kind.
    pub fn kind(&self) -> ChatKind {
        if self.group.is_some() { ChatKind::Group } else { ChatKind::Dm }
    }

    /// Returns the address that callers see first: of a person, the phone number if it is known.
    pub fn address(&self) -> Option<&ChatAddress> {
        self.group.as_ref().or(self.phone.as_ref()).or(self.lid.as_ref())
    }

    /// Returns the name that callers see.
    pub fn name(&self) -> Option<&str> {
        self.contact_name.as_deref().or(self.push_name.as_deref())
    }

    /// Adds an address. An address of a kind that is known already stays. Returns whether the chat
    /// changed.
    pub(crate) fn learn(&mut self, address: &ChatAddress) -> bool {
        let known = match address {
            ChatAddress::Phone(_) => &mut self.phone,
            ChatAddress::Lid(_) => &mut self.lid,
            ChatAddress::Group(_) => &mut self.group,
        };
        let is_new = known.is_none();
        if is_new {
            *known = Some(address.clone());
        }
        is_new
    }

    /// Takes over the state of a chat that is the same one.
    pub(crate) fn absorb(&mut self, other: &Self) {
        for address in [&other.phone, &other.lid, &other.group].into_iter().flatten() {
            self.learn(address);
        }
        let newest = |chat: &Self| (chat.last_message.is_some(), chat.last_at, chat.last_message);
        if newest(other) > newest(self) {
            (self.last_at, self.last_message) = (other.last_at, other.last_message);
        }
        self.contact_name = self.contact_name.take().or_else(|| other.contact_name.clone());
        self.push_name = self.push_name.take().or_else(|| other.push_name.clone());
        if other.timer.changed_at > self.timer.changed_at {
            self.timer = other.timer;
        }
        self.unread += other.unread;
        self.has_inbound |= other.has_inbound;
    }

    /// Records a listed message.
    pub(crate) fn note_message(&mut self, at: Timestamp, id: MessageId) {
        if self.last_message.is_none_or(|last| (at, id) > (self.last_at, last)) {
            (self.last_at, self.last_message) = (at, Some(id));
        }
    }
}
