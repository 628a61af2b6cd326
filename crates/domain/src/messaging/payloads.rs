//! Events of a draft.

use crate::{
    chat::model::{Chat, ChatId},
    event::{
        fields::Omittable,
        message_fields::{ContentFields, EventFailure, EventLevel},
        payload::EventPayload,
    },
    message::{
        address::ChatAddress,
        model::{Message, MessageSender},
        state::MessageState,
    },
    messaging::{draft::Draft, messages::lid_of, state::MessageHeader},
};

/// Addresses of a chat or a sender, as texts.
struct ShownAddresses {
    jid: Option<String>,
    lid: Option<String>,
    phone: Option<String>,
}

impl ShownAddresses {
    fn of_chat(chat: Option<&Chat>) -> Self {
        Self {
            jid: chat.and_then(Chat::address).map(ToString::to_string),
            lid: chat.and_then(|chat| chat.lid.as_ref()).map(ToString::to_string),
            phone: chat.and_then(|chat| chat.phone.as_ref()?.phone()).map(ToOwned::to_owned),
        }
    }

    fn of_addresses(all: &[&ChatAddress]) -> Self {
        let phone = all.iter().find_map(|address| address.phone());
        let lid = all.iter().find_map(|address| lid_of(address));
        let jid = all.iter().find(|address| address.phone().is_some()).or(all.first());
        Self {
            jid: jid.map(ToString::to_string),
            lid: lid.map(ToString::to_string),
            phone: phone.map(ToOwned::to_owned),
        }
    }
}

impl Draft<'_> {
    fn sender_addresses(&self, message: &Message) -> ShownAddresses {
        match &message.sender {
            MessageSender::Account if self.account.is_empty() => ShownAddresses::of_chat(None),
            MessageSender::Account => {
                ShownAddresses::of_addresses(&[&ChatAddress::Phone(self.account.clone())])
            }
            MessageSender::Partner => ShownAddresses::of_chat(self.chats.get(&message.chat)),
            MessageSender::Member(address) => {
                let all: Vec<_> = [address].into_iter().chain(&message.sender_alt).collect();
                ShownAddresses::of_addresses(&all)
            }
        }
    }

    /// Returns the event of a message.
    pub(super) fn message_event(&self, message: &Message, recovered: bool) -> EventPayload {
        let chat = ShownAddresses::of_chat(self.chats.get(&message.chat));
        let sender = self.sender_addresses(message);
        let content = ContentFields::of(&message.details.clone().unwrap_or_default());
        EventPayload::Message {
            id: message.id.0,
            wa_id: message.wa_id.clone(),
            chat: message.chat.0,
            chat_jid: chat.jid,
            chat_lid: chat.lid,
            chat_phone: chat.phone,
            sender_jid: sender.jid,
            sender_lid: sender.lid,
            sender_phone: sender.phone,
            sender_name: message.sender_name.clone(),
            direction: message.direction(),
            from_me: message.source.is_own(),
            source: message.source,
            kind: message.kind,
            body: content.body,
            is_truncated: content.is_truncated,
            has_media: message.kind.has_media(),
            media: content.media,
            mentions: content.mentions,
            reply_to: content.reply_to,
            forwarded: message.flags.forwarded,
            ephemeral_seconds: message.ephemeral_seconds,
            status: message.state.status(),
            level: EventLevel(message.state.level_number()),
            at: message.at,
            recovered,
            removed: false,
        }
    }

    /// Returns the event of a message that cannot be decrypted.
    pub(super) fn undecryptable_event(&self, message: &Message, reason: &str) -> EventPayload {
        let chat = ShownAddresses::of_chat(self.chats.get(&message.chat));
        let sender = self.sender_addresses(message);
        EventPayload::MessageUndecryptable {
            id: message.id.0,
            wa_id: message.wa_id.clone(),
            chat: message.chat.0,
            chat_jid: chat.jid,
            sender_jid: sender.jid,
            sender_lid: sender.lid,
            sender_name: message.sender_name.clone(),
            direction: message.direction(),
            reason: reason.chars().filter(|c| !c.is_control()).take(64).collect(),
            at: message.at,
        }
    }

    /// Returns the event of a message whose state changes.
    pub(super) fn status_event(&self, header: &MessageHeader, next: MessageState) -> EventPayload {
        EventPayload::MessageStatusChanged {
            id: header.id.0,
            wa_id: header.wa_id.clone(),
            outbox: header.outbox().cloned(),
            chat: header.chat.0,
            chat_jid: ShownAddresses::of_chat(self.chats.get(&header.chat)).jid,
            status: next.status(),
            previous: header.state.status(),
            level: EventLevel(next.level_number()),
            at: self.now,
            error: next.failure().map(EventFailure::of),
            reference: header.reference.clone(),
        }
    }

    /// Adds the event of a chat that changed, or that another chat became a part of.
    pub(super) fn report_chat(&mut self, id: ChatId, merged: Option<ChatId>) {
        let Some(chat) = self.chats.get(&id) else { return };
        let shown = ShownAddresses::of_chat(Some(chat));
        let payload = EventPayload::ChatUpdated {
            chat: id.0,
            chat_jid: shown.jid,
            chat_lid: shown.lid,
            chat_phone: shown.phone,
            chat_name: chat.name().map(ToOwned::to_owned),
            unread: chat.unread,
            ephemeral_seconds: chat.timer.seconds,
            merged: Omittable(merged.map(|merged| merged.0)),
        };
        self.add_event(payload);
    }
}
