//! Chats of a draft: one chat with all its addresses, whichever address is used first.

use crate::{
    chat::model::{Chat, ChatId, ChatTimer},
    message::{address::ChatAddress, text::clean_name},
    messaging::{
        change::ChatMerge,
        draft::Draft,
        journal::{AddressPair, ContactFact, TimerFact},
        state::ChatNameText,
    },
    time::Timestamp,
};

impl Draft<'_> {
    /// Returns the chat with these addresses, and creates the chat if no address is known. Two chats
    /// with the addresses become one.
    pub(crate) fn resolve(&mut self, addresses: &AddressPair) -> ChatId {
        if let Some(chat) = self.unify(addresses.iter()) {
            return chat;
        }
        let chat = self.add_chat();
        self.learn_all(chat, addresses.iter());
        chat
    }

    /// Returns the chat with these addresses, if an address is known. Two chats with the addresses
    /// become one, and the chat learns the other address.
    pub(crate) fn unify<'b>(
        &mut self,
        addresses: impl Iterator<Item = &'b ChatAddress> + Clone,
    ) -> Option<ChatId> {
        let mut known: Vec<_> =
            addresses.clone().filter_map(|address| self.chat_of(address)).collect();
        known.sort_unstable();
        known.dedup();
        let into = *known.first()?;
        for from in known.into_iter().skip(1) {
            self.merge(ChatMerge { from, into });
        }
        if self.learn_all(into, addresses) {
            self.report_chat(into, None);
        }
        Some(into)
    }

    /// Returns the chat with an address, if it is known.
    pub(crate) fn chat_of(&self, address: &ChatAddress) -> Option<ChatId> {
        self.names.get(&ChatNameText::from(address)).copied()
    }

    /// Adds addresses to a chat. Returns whether one was new for a chat that existed.
    fn learn_all<'b>(
        &mut self,
        id: ChatId,
        addresses: impl Iterator<Item = &'b ChatAddress>,
    ) -> bool {
        let mut learnt = false;
        for address in addresses {
            if self.chat_of(address) != Some(id) {
                self.add_name(address.into(), Some(id), None);
            }
            if let Some(chat) = self.chats.get_mut(&id)
                && chat.learn(address)
            {
                self.change_chat(id);
                learnt = true;
            }
        }
        learnt
    }

    /// Returns the chat that digits of a caller lead to.
    pub(crate) fn chat_of_digits(&self, digits: &str) -> Option<ChatId> {
        self.names.get(&ChatNameText::Digits(digits.to_owned())).copied()
    }

    /// Records that digits of a caller lead to a chat, and at which time WhatsApp confirmed this. A
    /// chat without an address that the digits led to becomes a part of the chat.
    pub(crate) fn name_digits(
        &mut self,
        digits: &str,
        chat: Option<ChatId>,
        checked_at: Option<Timestamp>,
    ) {
        let name = ChatNameText::Digits(digits.to_owned());
        let known = self.names.get(&name).copied();
        self.add_name(name, chat, checked_at);
        if let (Some(from), Some(into)) = (known, chat)
            && from != into
            && self.chats.get(&from).is_some_and(|chat| chat.address().is_none())
        {
            self.merge(ChatMerge { from, into });
        }
    }

    /// Gives a chat without an address its addresses. A chat that has them already becomes the one of
    /// both.
    pub(crate) fn give_addresses(&mut self, id: ChatId, addresses: &AddressPair) -> ChatId {
        let Some(known) = self.unify(addresses.iter()) else {
            self.learn_all(id, addresses.iter());
            self.report_chat(id, None);
            return id;
        };
        if known != id {
            self.merge(ChatMerge { from: id, into: known });
        }
        known
    }

    fn merge(&mut self, merge: ChatMerge) {
        let ChatMerge { from, into } = merge;
        let Some(absorbed) = self.chats.get(&from).cloned() else { return };
        if let Some(chat) = self.change_chat(into) {
            chat.absorb(&absorbed);
        }
        if let Some(chat) = self.change_chat(from) {
            chat.merged_into = Some(into);
            chat.unread = 0;
        }
        self.move_names(from, into);
        self.move_messages(from, into);
        self.merges.push(merge);
        self.report_chat(into, Some(from));
    }

    /// Moves the messages of a chat that became a part of another one. Of two copies of one message,
    /// the copy of the other chat remains.
    fn move_messages(&mut self, from: ChatId, into: ChatId) {
        let moved: Vec<_> =
            self.identities.keys().filter(|(_, chat, _)| *chat == from).cloned().collect();
        for identity in moved {
            let Some(id) = self.identities.remove(&identity) else { continue };
            let (wa_id, _, sender) = identity;
            let target = (wa_id, into, sender);
            if self.identities.contains_key(&target) {
                self.headers.remove(&id);
                self.new_messages.remove(&id);
                self.updates.remove(&id);
                continue;
            }
            self.identities.insert(target, id);
            if let Some(header) = self.headers.get_mut(&id) {
                header.chat = into;
                if let Some(entry) = &mut header.entry {
                    entry.chat = into;
                }
            }
            if let Some(message) = self.new_messages.get_mut(&id) {
                message.chat = into;
            }
        }
    }

    /// Applies what became known about people.
    pub(crate) fn apply_contacts(&mut self, contacts: &[ContactFact]) {
        for ContactFact { phone, lid, name } in contacts {
            let addresses = [phone.as_ref(), lid.as_ref()];
            let Some(id) = self.unify(addresses.into_iter().flatten()) else { continue };
            let Some(name) = name.as_deref().and_then(clean_name) else { continue };
            let is_new =
                self.chats.get(&id).is_some_and(|chat| chat.contact_name.as_ref() != Some(&name));
            if is_new {
                if let Some(chat) = self.change_chat(id) {
                    chat.contact_name = Some(name);
                }
                self.report_chat(id, None);
            }
        }
    }

    /// Applies a change of a disappearing timer.
    pub(crate) fn apply_timer(&mut self, fact: &TimerFact) {
        let id = self.resolve(&fact.chat);
        let timer = ChatTimer { seconds: fact.seconds, changed_at: fact.changed_at.min(self.now) };
        if self.set_timer(id, timer) {
            self.report_chat(id, None);
        }
    }

    /// Sets a newer disappearing timer. Returns whether the number of seconds changed.
    pub(super) fn set_timer(&mut self, id: ChatId, timer: ChatTimer) -> bool {
        let is_newer = |chat: &Chat| timer.changed_at > chat.timer.changed_at;
        let Some(known) = self.chats.get(&id).filter(|chat| is_newer(chat)) else { return false };
        let is_changed = known.timer.seconds != timer.seconds;
        if let Some(chat) = self.change_chat(id).filter(|_| is_changed) {
            chat.timer = timer;
        }
        is_changed
    }
}
