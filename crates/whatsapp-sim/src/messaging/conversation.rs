//! The messages that a phone shows, in the order of their arrival, with their receipts.

use crate::address::Addressing;
use crate::encoding::Base64Text;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet, VecDeque};
use waproto::buffa::Message as _;
use waproto::whatsapp::Message;
use waproto::whatsapp::message::protocol_message::Type;

/// Messages that a phone stores; older ones are dropped.
const MAX_MESSAGES: usize = 200_000;

/// A message as a phone shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChatMessage {
    /// The position in the order of arrival.
    pub order: u64,
    /// The id; unique within a chat and a sender only.
    pub id: String,
    /// The number of the partner.
    pub chat: String,
    /// The number of the sender.
    pub from: String,
    /// The device of the sender; 0 is the phone.
    pub from_device: u32,
    /// Whether the phone's own account sent the message.
    pub from_me: bool,
    /// The namespace of the addresses in the stanza.
    pub addressing: Addressing,
    /// The kind of content: `text`, `image`, `reaction`, …; `unreadable` until the phone could
    /// decrypt the message, and `malformed` if the decrypted bytes are no message.
    pub kind: String,
    /// The text, the caption or the emoji, if the content has one.
    pub text: Option<String>,
    /// The id of the message that an edit, a deletion or a reaction refers to.
    pub target: Option<String>,
    /// The time that the server assigned, in Unix seconds.
    pub timestamp: u64,
    /// The time of arrival at the phone, in Unix milliseconds.
    pub at: u64,
    /// Whether the phone could decrypt the message.
    pub readable: bool,
    /// Whether the phone notified its owner: no linked device was announced as available.
    pub notified: bool,
    /// The number of retries that the phone asked for.
    pub retries: u32,
    /// The attribute `edit` of the stanza, if any.
    pub edit: Option<String>,
    /// The lifetime of the message in seconds, if the message names one.
    pub expiration: Option<u32>,
    /// The receipts for a message of the phone's own account.
    pub receipts: Vec<ReceiptRecord>,
    /// The encoded message.
    pub(crate) protobuf: Base64Text<Vec<u8>>,
}

/// A receipt for a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReceiptRecord {
    /// `delivered`, `read` or `played`.
    pub kind: String,
    /// The number of the recipient.
    pub from: String,
    /// The device of the recipient that sent the receipt; 0 is the phone.
    pub device: u32,
    /// The time of arrival, in Unix milliseconds.
    pub at: u64,
}

impl ChatMessage {
    /// Fills in the decrypted content.
    pub(crate) fn read(&mut self, bytes: Vec<u8>) {
        self.readable = true;
        match Message::decode_from_slice(&bytes[..]) {
            Ok(message) => {
                kind(&message).clone_into(&mut self.kind);
                self.text = text(&message);
                self.target = target(&message);
                self.expiration = expiration(&message);
            }
            Err(_) => "malformed".clone_into(&mut self.kind),
        }
        self.protobuf = Base64Text(bytes);
    }

    /// Returns the decrypted message as it was sent; `None` if the bytes are no message.
    pub fn content(&self) -> Option<Message> {
        Message::decode_from_slice(&self.protobuf.0[..]).ok()
    }
}

/// The messages of one phone.
#[derive(Debug, Default)]
pub(crate) struct Conversations {
    messages: VecDeque<ChatMessage>,
    next: u64,
    by_id: HashMap<String, Vec<u64>>,
    partners: HashSet<String>,
}

impl Conversations {
    /// Appends a message, which gets the next position.
    pub(crate) fn push(&mut self, mut message: ChatMessage) -> &ChatMessage {
        message.order = self.next;
        let order = message.order;
        self.restore(message);
        // The message was appended above.
        &self.messages[self.index(order).unwrap_or_default()]
    }

    /// Restores a message of an earlier run, or replaces the message at this position.
    pub(crate) fn restore(&mut self, message: ChatMessage) {
        if let Some(index) = self.index(message.order) {
            self.messages[index] = message;
            return;
        }
        self.next = self.next.max(message.order + 1);
        self.by_id.entry(message.id.clone()).or_default().push(message.order);
        self.partners.insert(message.chat.clone());
        self.messages.push_back(message);
        if self.messages.len() > MAX_MESSAGES
            && let Some(oldest) = self.messages.pop_front()
            && let Some(orders) = self.by_id.get_mut(&oldest.id)
        {
            orders.retain(|order| *order != oldest.order);
            if orders.is_empty() {
                self.by_id.remove(&oldest.id);
            }
        }
    }

    fn index(&self, order: u64) -> Option<usize> {
        self.messages.binary_search_by_key(&order, |message| message.order).ok()
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &ChatMessage> {
        self.messages.iter()
    }

    /// Returns the messages after this position; all for `None`.
    pub(crate) fn after(&self, order: Option<u64>) -> impl Iterator<Item = &ChatMessage> {
        let from = order
            .map_or(0, |order| self.messages.partition_point(|message| message.order <= order));
        self.messages.range(from..)
    }

    /// Returns whether the phone has a chat with this number.
    pub(crate) fn has_partner(&self, number: &str) -> bool {
        self.partners.contains(number)
    }

    /// Returns the numbers of the partners.
    pub(crate) fn partners(&self) -> impl Iterator<Item = &String> {
        self.partners.iter()
    }

    /// Returns the messages with this id, oldest first.
    pub(crate) fn with_id(&self, id: &str) -> impl Iterator<Item = &ChatMessage> {
        let orders = self.by_id.get(id).map(Vec::as_slice).unwrap_or_default();
        orders.iter().filter_map(|order| self.messages.get(self.index(*order)?))
    }

    /// Changes the first message with this id that fits, and returns it.
    pub(crate) fn update(
        &mut self,
        id: &str,
        fits: impl Fn(&ChatMessage) -> bool,
        change: impl FnOnce(&mut ChatMessage),
    ) -> Option<&ChatMessage> {
        let order = self.with_id(id).find(|message| fits(message))?.order;
        let index = self.index(order)?;
        let message = self.messages.get_mut(index)?;
        change(message);
        Some(message)
    }
}

fn kind(message: &Message) -> &'static str {
    if let Some(protocol) = message.protocol_message.as_option() {
        return match protocol.r#type {
            Some(Type::MESSAGE_EDIT) => "edit",
            Some(Type::REVOKE) => "revoke",
            Some(Type::EPHEMERAL_SETTING) => "timer",
            _ => "protocol",
        };
    }
    let kinds = [
        (message.conversation.is_some(), "text"),
        (message.extended_text_message.is_set(), "text"),
        (message.image_message.is_set(), "image"),
        (message.video_message.is_set(), "video"),
        (message.audio_message.is_set(), "audio"),
        (message.document_message.is_set(), "document"),
        (message.document_with_caption_message.is_set(), "document"),
        (message.sticker_message.is_set(), "sticker"),
        (message.location_message.is_set(), "location"),
        (message.contact_message.is_set(), "contact"),
        (message.contacts_array_message.is_set(), "contacts"),
        (message.poll_creation_message.is_set(), "poll"),
        (message.poll_creation_message_v3.is_set(), "poll"),
        (message.poll_update_message.is_set(), "vote"),
        (message.reaction_message.is_set(), "reaction"),
        (message.view_once_message.is_set(), "view-once"),
        (message.view_once_message_v2.is_set(), "view-once"),
        (message.ephemeral_message.is_set(), "ephemeral"),
    ];
    kinds.iter().find(|(is_so, _)| *is_so).map_or("other", |(_, kind)| kind)
}

/// Returns the text, caption, name or emoji of a message.
pub(crate) fn text(message: &Message) -> Option<String> {
    let extended = message.extended_text_message.as_option().and_then(|m| m.text.clone());
    let protocol = message.protocol_message.as_option();
    let edited = protocol.and_then(|protocol| protocol.edited_message.as_option());
    message
        .conversation
        .clone()
        .or(extended)
        .or_else(|| message.image_message.as_option()?.caption.clone())
        .or_else(|| message.video_message.as_option()?.caption.clone())
        .or_else(|| message.document_message.as_option()?.caption.clone())
        .or_else(|| message.reaction_message.as_option()?.text.clone())
        .or_else(|| message.poll_creation_message_v3.as_option()?.name.clone())
        .or_else(|| text(edited?))
}

fn target(message: &Message) -> Option<String> {
    let protocol = message.protocol_message.as_option().and_then(|m| m.key.as_option());
    let reaction = message.reaction_message.as_option().and_then(|m| m.key.as_option());
    protocol.or(reaction)?.id.clone()
}

fn expiration(message: &Message) -> Option<u32> {
    let timer = message.protocol_message.as_option().and_then(|m| m.ephemeral_expiration);
    let text = message.extended_text_message.as_option();
    timer.or_else(|| text?.context_info.as_option()?.expiration)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: &str, chat: &str) -> ChatMessage {
        ChatMessage {
            order: 0,
            id: id.into(),
            chat: chat.into(),
            from: chat.into(),
            from_device: 0,
            from_me: false,
            addressing: Addressing::Pn,
            kind: "unreadable".into(),
            text: None,
            target: None,
            timestamp: 1,
            at: 1000,
            readable: false,
            notified: true,
            retries: 0,
            edit: None,
            expiration: None,
            receipts: Vec::new(),
            protobuf: Base64Text(Vec::new()),
        }
    }

    #[test]
    fn duplicates_are_visible_and_found_by_id() {
        let mut all = Conversations::default();
        for (id, chat) in [("a", "1"), ("b", "1"), ("a", "2"), ("a", "1")] {
            all.push(message(id, chat));
        }
        let orders: Vec<_> = all.with_id("a").map(|m| (m.order, m.chat.as_str())).collect();
        assert_eq!(orders, [(0, "1"), (2, "2"), (3, "1")]);
        assert_eq!(all.after(Some(1)).map(|m| m.order).collect::<Vec<_>>(), [2, 3]);
        assert!(all.has_partner("2") && !all.has_partner("3"));
        let updated = all.update("a", |m| m.chat == "2", |m| m.retries = 7).unwrap();
        assert_eq!((updated.order, updated.retries), (2, 7));
    }

    #[test]
    fn content_is_described() {
        let mut shown = message("a", "1");
        let text = Message { conversation: Some("hello".into()), ..Default::default() };
        shown.read(text.encode_to_vec());
        assert_eq!((shown.kind.as_str(), shown.text.as_deref()), ("text", Some("hello")));
        assert!(shown.readable);
        shown.read(vec![0xff; 9]);
        assert_eq!(shown.kind, "malformed");
    }
}
