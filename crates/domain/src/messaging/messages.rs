//! Messages that arrive.

use crate::{
    chat::model::{ChatId, ChatTimer},
    message::{
        address::ChatAddress,
        kind::{MessageKind, MessageSource},
        message_id::MessageId,
        model::{Message, MessageFlags, MessageSender},
        state::MessageState,
        text::clean_name,
    },
    messaging::{
        change::{MessageUpdate, RecoveredContent},
        draft::Draft,
        journal::{InboundMessage, MessageOrigin, UndecryptableMessage},
        state::MessageHeader,
    },
    time::Timestamp,
};

impl Draft<'_> {
    /// Applies a message. A message that is stored already stays as it is, unless it could not be
    /// decrypted before.
    pub(crate) fn apply_message(&mut self, inbound: &InboundMessage) {
        let chat = self.resolve(&inbound.origin.chat);
        let sender = sender(&inbound.origin);
        let identity = (inbound.origin.wa_id.clone(), chat, sender);
        if let Some(id) = self.identities.get(&identity).copied() {
            self.recover(id, inbound);
            return;
        }
        let id = self.next_message_id();
        let flags = MessageFlags {
            forwarded: inbound.forwarded,
            view_once: inbound.view_once,
            undecryptable: false,
            hidden: inbound.kind.is_addon(),
            offline: inbound.offline,
        };
        let message = Message {
            kind: inbound.kind,
            flags,
            ephemeral_seconds: inbound.ephemeral_seconds,
            details: Some(inbound.details.clone()),
            content: inbound.content.clone(),
            ..self.message_of(id, chat, &inbound.origin)
        };
        self.note_arrival(&message, inbound.ephemeral_seconds);
        let payload = self.message_event(&message, false);
        let is_listed = message.is_listed();
        self.insert_message(message);
        if is_listed {
            self.add_event(payload);
        }
    }

    /// Applies a message that cannot be decrypted.
    pub(crate) fn apply_undecryptable(&mut self, unreadable: &UndecryptableMessage) {
        let origin = &unreadable.origin;
        let chat = self.resolve(&origin.chat);
        if self.identities.contains_key(&(origin.wa_id.clone(), chat, sender(origin))) {
            return;
        }
        let id = self.next_message_id();
        let flags = MessageFlags {
            undecryptable: true,
            hidden: unreadable.hidden,
            ..MessageFlags::default()
        };
        let message = Message {
            kind: MessageKind::Unknown,
            flags,
            details: None,
            content: None,
            ..self.message_of(id, chat, origin)
        };
        self.note_arrival(&message, 0);
        let payload = self.undecryptable_event(&message, &unreadable.reason);
        let is_listed = message.is_listed();
        self.insert_message(message);
        if is_listed {
            self.add_event(payload);
        }
    }

    /// Returns a message without content.
    fn message_of(&self, id: MessageId, chat: ChatId, origin: &MessageOrigin) -> Message {
        let sender_alt = origin.sender.as_ref().and_then(|sender| sender.other.clone());
        Message {
            id,
            wa_id: origin.wa_id.clone(),
            chat,
            sender: sender(origin),
            sender_alt: sender_alt.filter(|_| origin.chat.used.is_group()),
            sender_name: origin.sender_name.as_deref().and_then(clean_name),
            source: source(origin),
            kind: MessageKind::Unknown,
            flags: MessageFlags::default(),
            state: MessageState::at_arrival(source(origin).direction()),
            at: self.plausible(origin.sent_at),
            created_at: self.now,
            updated_at: self.now,
            ephemeral_seconds: 0,
            reference: None,
            outbox: None,
            awaits_ack: false,
            details: None,
            content: None,
        }
    }

    /// Returns a time of WhatsApp, or now for a time in the future or before 2009. A message with
    /// such a time would stay at one end of its chat.
    fn plausible(&self, at: Timestamp) -> Timestamp {
        const FIRST: Timestamp = Timestamp::from_millis(1_230_768_000_000);
        if at < FIRST || at > self.now { self.now } else { at }
    }

    /// Updates the chat of a message.
    fn note_arrival(&mut self, message: &Message, ephemeral_seconds: u32) {
        let is_inbound = message.source == MessageSource::Contact;
        let is_partner = message.sender == MessageSender::Partner;
        if is_partner && ephemeral_seconds > 0 {
            let timer = ChatTimer { seconds: ephemeral_seconds, changed_at: message.at };
            self.set_timer(message.chat, timer);
        }
        let Some(chat) = self.change_chat(message.chat) else { return };
        if is_partner {
            chat.has_inbound = true;
            chat.push_name = message.sender_name.clone().or(chat.push_name.take());
        }
        if message.is_listed() {
            chat.note_message(message.at, message.id);
            chat.unread += u64::from(is_inbound);
        }
    }

    /// Adds a message that a caller sends.
    pub(crate) fn insert_own(&mut self, message: Message) {
        self.note_arrival(&message, 0);
        self.insert_message(message);
    }

    /// Returns the disappearing timer of a chat in seconds.
    pub(crate) fn timer_seconds(&self, chat: ChatId) -> u32 {
        self.chats.get(&chat).map_or(0, |chat| chat.timer.seconds)
    }

    /// Adds a message.
    fn insert_message(&mut self, message: Message) {
        let identity = (message.wa_id.clone(), message.chat, message.sender.clone());
        self.identities.insert(identity, message.id);
        self.headers.insert(message.id, MessageHeader::of(&message, None));
        self.new_messages.insert(message.id, message);
    }

    /// Adds the content of a message that could not be decrypted before.
    fn recover(&mut self, id: MessageId, inbound: &InboundMessage) {
        let Some(header) = self.headers.get_mut(&id) else { return };
        if !header.flags.undecryptable {
            return;
        }
        header.flags = MessageFlags {
            forwarded: inbound.forwarded,
            view_once: inbound.view_once,
            undecryptable: false,
            hidden: inbound.kind.is_addon(),
            offline: header.flags.offline,
        };
        let (flags, state, chat) = (header.flags, header.state, header.chat);
        let content = RecoveredContent {
            kind: inbound.kind,
            flags,
            details: inbound.details.clone(),
            content: inbound.content.clone(),
        };
        let message = Message {
            kind: inbound.kind,
            flags,
            state,
            ephemeral_seconds: inbound.ephemeral_seconds,
            details: Some(inbound.details.clone()),
            ..self.message_of(id, chat, &inbound.origin)
        };
        let payload = self.message_event(&message, true);
        if let Some(new) = self.new_messages.get_mut(&id) {
            (new.kind, new.flags) = (inbound.kind, flags);
            (new.details, new.content) = (message.details, inbound.content.clone());
        } else {
            let updated_at = self.now;
            let recovered = Some(content);
            self.updates.insert(id, MessageUpdate { id, state, updated_at, recovered });
        }
        if !flags.hidden {
            self.add_event(payload);
        }
    }
}

/// Returns the sender of a message. In a chat of two, the address of the partner does not matter.
fn sender(origin: &MessageOrigin) -> MessageSender {
    match &origin.sender {
        None => MessageSender::Account,
        Some(sender) if origin.chat.used.is_group() => MessageSender::Member(sender.used.clone()),
        Some(_) => MessageSender::Partner,
    }
}

/// Returns the origin, which agrees with the sender.
fn source(origin: &MessageOrigin) -> MessageSource {
    match (&origin.sender, origin.source) {
        (Some(_), _) => MessageSource::Contact,
        (None, MessageSource::OtherDevice) => MessageSource::OtherDevice,
        (None, _) => MessageSource::Phone,
    }
}

/// Returns the address by private number of a sender.
pub(super) fn lid_of(address: &ChatAddress) -> Option<&ChatAddress> {
    matches!(address, ChatAddress::Lid(_)).then_some(address)
}
