//! The messages of a session in memory.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    chat::model::{Chat, ChatId},
    message::{message_id::MessageId, model::Message},
    messaging::{
        change::{AcceptanceKey, ChatMerge, MessageUpdate, MessagingChange},
        state::{
            ChatName, ChatNameText, MessageHeader, MessagingLookup, MessagingState,
            SessionMessaging,
        },
    },
    outbox::model::{OutboxEntry, OutboxState},
    time::Timestamp,
};

/// The messages of a session.
#[derive(Clone, Debug)]
pub(in crate::testing) struct MessagingRows {
    pub(in crate::testing) row: SessionMessaging,
    pub(in crate::testing) chats: BTreeMap<ChatId, Chat>,
    pub(in crate::testing) names: BTreeMap<(String, ChatNameText), ChatName>,
    pub(in crate::testing) messages: BTreeMap<MessageId, Message>,
    pub(in crate::testing) entries: BTreeMap<MessageId, (OutboxEntry, Option<AcceptanceKey>)>,
    /// Time from which the messages of the deleted session can be removed. `None` for a session that
    /// exists.
    pub(in crate::testing) removal_due: Option<Timestamp>,
    /// Number of removed messages of the deleted session.
    pub(in crate::testing) removed: u64,
}

impl MessagingRows {
    pub(in crate::testing) fn new(row: SessionMessaging) -> Self {
        Self {
            row,
            chats: BTreeMap::new(),
            names: BTreeMap::new(),
            messages: BTreeMap::new(),
            entries: BTreeMap::new(),
            removal_due: None,
            removed: 0,
        }
    }

    /// Returns a message as a read returns it.
    pub(in crate::testing) fn read(&self, message: &Message) -> Message {
        let entry = self.entries.get(&message.id).map(|(entry, _)| entry);
        let awaits_ack = entry.is_some_and(|entry| entry.state == OutboxState::Handed);
        let outbox = entry.map(|entry| entry.id.clone());
        Message { outbox, awaits_ack, ..message.clone() }
    }

    pub(in crate::testing) fn header(&self, message: &Message) -> MessageHeader {
        let entry = self.entries.get(&message.id).map(|(entry, _)| entry.clone());
        MessageHeader::of(message, entry)
    }

    pub(in crate::testing) fn state(&self, lookup: &MessagingLookup) -> MessagingState {
        let names: Vec<_> =
            self.names.values().filter(|name| lookup.names.contains(&name.name)).cloned().collect();
        let messages: Vec<_> = self
            .messages
            .values()
            .filter(|message| lookup.wa_ids.contains(&message.wa_id))
            .map(|message| self.header(message))
            .collect();
        let ids: BTreeSet<_> = names
            .iter()
            .filter_map(|name| name.chat)
            .chain(messages.iter().map(|header| header.chat))
            .collect();
        let chats = ids.iter().filter_map(|id| self.chats.get(id)).cloned().collect();
        let (phone, gateway, auto_read) = (None, None, false);
        MessagingState { row: self.row.clone(), phone, gateway, auto_read, names, chats, messages }
    }

    pub(in crate::testing) fn write(&mut self, change: &MessagingChange) {
        self.row = change.row.clone();
        self.chats.extend(change.chats.iter().map(|chat| (chat.id, chat.clone())));
        for name in &change.names {
            self.names.insert((name.account.clone(), name.name.clone()), name.clone());
        }
        for merge in &change.merges {
            self.merge(*merge);
        }
        for message in &change.new_messages {
            let is_same = |other: &&Message| {
                (&other.wa_id, other.chat, &other.sender)
                    == (&message.wa_id, message.chat, &message.sender)
            };
            assert!(!self.messages.values().any(|other| is_same(&other)), "{message:?}");
            self.messages.insert(message.id, message.clone());
        }
        for update in &change.updates {
            self.update(update);
        }
        for new in &change.new_entries {
            self.entries.insert(new.entry.message, (new.entry.clone(), new.key.clone()));
        }
        for entry in &change.entries {
            if let Some((known, _)) = self.entries.get_mut(&entry.message) {
                known.clone_from(entry);
            }
        }
    }

    fn merge(&mut self, ChatMerge { from, into }: ChatMerge) {
        let names = self.names.values_mut().filter_map(|name| name.chat.as_mut());
        for chat in names.filter(|chat| **chat == from) {
            *chat = into;
        }
        for chat in self.chats.values_mut().filter(|chat| chat.merged_into == Some(from)) {
            chat.merged_into = Some(into);
        }
        let identities: BTreeSet<_> = self
            .messages
            .values()
            .filter(|message| message.chat == into)
            .map(|message| (message.wa_id.clone(), message.sender.clone()))
            .collect();
        self.messages.retain(|_, message| {
            let identity = (message.wa_id.clone(), message.sender.clone());
            message.chat != from || !identities.contains(&identity)
        });
        for message in self.messages.values_mut().filter(|message| message.chat == from) {
            message.chat = into;
        }
        for (entry, _) in self.entries.values_mut().filter(|(entry, _)| entry.chat == from) {
            entry.chat = into;
        }
    }

    fn update(&mut self, update: &MessageUpdate) {
        let Some(message) = self.messages.get_mut(&update.id) else { return };
        (message.state, message.updated_at) = (update.state, update.updated_at);
        if let Some(recovered) = &update.recovered {
            (message.kind, message.flags) = (recovered.kind, recovered.flags);
            message.details = Some(recovered.details.clone());
            message.content.clone_from(&recovered.content);
        }
    }
}
