//! A draft of the next state of a session's messages, to which facts are applied one after the
//! other.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{
    caller::Actor,
    chat::model::{Chat, ChatId},
    commit::Commit,
    event::{Event, payload::EventPayload},
    id::{EventId, WaMessageId},
    message::{
        message_id::MessageId,
        model::{Message, MessageSender},
    },
    messaging::{
        change::{ChatMerge, MessageUpdate, MessagingChange, MessagingCommit, NewOutboxEntry},
        state::{ChatName, ChatNameText, MessageHeader, MessagingState, SessionMessaging},
    },
    outbox::model::OutboxEntry,
    ports::environment::Environment,
    session::version::Version,
    time::Timestamp,
};

/// Number of waiting messages of a session from which on dispatches are delayed.
const DELAYED_FROM: u64 = 8;
/// Time until a delayed dispatch. Requests and acknowledgements arrive one after the other, and one
/// dispatch serves those that arrive in this time.
const DISPATCH_DELAY: Duration = Duration::from_millis(25);

/// Identity of a message within a session.
type MessageIdentity = (WaMessageId, ChatId, MessageSender);

/// The next state of a session's messages. Methods of the sub-topics are in `chats`, `messages` and
/// `levels`.
pub(crate) struct Draft<'a> {
    pub(crate) row: SessionMessaging,
    expected: Version,
    /// Account whose chats the facts change.
    pub(super) account: String,
    pub(super) now: Timestamp,
    actor: Actor,
    environment: &'a dyn Environment,
    pub(super) chats: BTreeMap<ChatId, Chat>,
    changed_chats: BTreeSet<ChatId>,
    pub(super) names: BTreeMap<ChatNameText, ChatId>,
    new_names: Vec<ChatName>,
    pub(super) merges: Vec<ChatMerge>,
    pub(super) headers: BTreeMap<MessageId, MessageHeader>,
    pub(super) identities: BTreeMap<MessageIdentity, MessageId>,
    pub(super) new_messages: BTreeMap<MessageId, Message>,
    pub(super) updates: BTreeMap<MessageId, MessageUpdate>,
    new_entries: Vec<NewOutboxEntry>,
    entries: BTreeMap<MessageId, OutboxEntry>,
    events: Vec<Event>,
}

impl<'a> Draft<'a> {
    /// Begins a draft of the next state.
    pub(crate) fn new(
        state: &MessagingState,
        actor: &Actor,
        environment: &'a dyn Environment,
    ) -> Self {
        let account = state.account().to_owned();
        let of_account = |name: &&ChatName| name.account == account;
        let names = state.names.iter().filter(of_account);
        let names = names.filter_map(|name| Some((name.name.clone(), name.chat?))).collect();
        let headers: BTreeMap<_, _> =
            state.messages.iter().map(|header| (header.id, header.clone())).collect();
        let identity =
            |header: &MessageHeader| (header.wa_id.clone(), header.chat, header.sender.clone());
        let identities = headers.values().map(|header| (identity(header), header.id)).collect();
        let mut row = state.row.clone();
        row.version = Version(state.row.version.0 + 1);
        Self {
            row,
            expected: state.row.version,
            account,
            now: environment.now(),
            actor: actor.clone(),
            environment,
            chats: state.chats.iter().map(|chat| (chat.id, chat.clone())).collect(),
            changed_chats: BTreeSet::new(),
            names,
            new_names: Vec::new(),
            merges: Vec::new(),
            headers,
            identities,
            new_messages: BTreeMap::new(),
            updates: BTreeMap::new(),
            new_entries: Vec::new(),
            entries: BTreeMap::new(),
            events: Vec::new(),
        }
    }

    /// Returns the commit of the draft.
    pub(crate) fn into_commit(self) -> MessagingCommit {
        let Self { mut chats, changed_chats, .. } = self;
        chats.retain(|id, _| changed_chats.contains(id));
        let change = MessagingChange {
            row: self.row,
            expected: self.expected,
            at: self.now,
            chats: chats.into_values().collect(),
            names: self.new_names,
            merges: self.merges,
            new_messages: self.new_messages.into_values().collect(),
            updates: self.updates.into_values().collect(),
            new_entries: self.new_entries,
            entries: self.entries.into_values().collect(),
        };
        Commit { change, events: self.events, idempotency: () }
    }

    /// Adds an event.
    pub(crate) fn add_event(&mut self, payload: EventPayload) {
        self.row.sequence += 1;
        self.events.push(Event {
            id: EventId::from_bits(self.environment.ulid()),
            organization: self.row.organization.clone(),
            session: Some(self.row.session.clone()),
            sequence: self.row.sequence,
            at: self.now,
            actor: self.actor.clone(),
            payload,
        });
    }

    /// Returns a copy of a chat of the draft.
    pub(crate) fn chat(&self, id: ChatId) -> Option<Chat> {
        self.chats.get(&id).cloned()
    }

    /// Returns a chat for a change. Every chat of the draft was loaded or created.
    pub(super) fn change_chat(&mut self, id: ChatId) -> Option<&mut Chat> {
        let chat = self.chats.get_mut(&id)?;
        self.changed_chats.insert(id);
        Some(chat)
    }

    /// Adds a chat.
    pub(crate) fn add_chat(&mut self) -> ChatId {
        self.row.last_chat += 1;
        let id = ChatId(self.row.last_chat);
        self.chats.insert(id, Chat::new(id, &self.account, self.now));
        self.changed_chats.insert(id);
        id
    }

    /// Adds a name of a chat, or leads a name to another chat.
    pub(crate) fn add_name(
        &mut self,
        name: ChatNameText,
        chat: Option<ChatId>,
        checked_at: Option<Timestamp>,
    ) {
        match chat {
            Some(chat) => drop(self.names.insert(name.clone(), chat)),
            None => drop(self.names.remove(&name)),
        }
        self.new_names.retain(|other| other.name != name);
        let account = self.account.clone();
        self.new_names.push(ChatName { account, name, chat, checked_at });
    }

    /// Leads the new names of a chat that became a part of another one to that chat.
    pub(super) fn move_names(&mut self, from: ChatId, into: ChatId) {
        let new = self.new_names.iter_mut().filter_map(|name| name.chat.as_mut());
        for chat in self.names.values_mut().chain(new).filter(|chat| **chat == from) {
            *chat = into;
        }
    }

    /// Returns the number of the next message.
    pub(crate) fn next_message_id(&mut self) -> MessageId {
        self.row.last_message += 1;
        MessageId(self.row.last_message)
    }

    /// Adds an entry of the outbox.
    pub(crate) fn add_entry(&mut self, entry: NewOutboxEntry) {
        self.row.queued += 1;
        self.dispatch_soon();
        self.new_entries.push(entry);
    }

    /// Makes the outbox due for the next dispatch.
    pub(super) fn dispatch_soon(&mut self) {
        let wait = if self.row.queued < DELAYED_FROM { Duration::ZERO } else { DISPATCH_DELAY };
        self.dispatch_at(self.now.plus(wait));
    }

    /// Makes the outbox due at this time, or earlier.
    pub(super) fn dispatch_at(&mut self, due: Timestamp) {
        self.row.outbox_due = Some(self.row.outbox_due.map_or(due, |known| known.min(due)));
    }

    /// Replaces an entry of the outbox.
    pub(crate) fn replace_entry(&mut self, entry: OutboxEntry) {
        if let Some(header) = self.headers.get_mut(&entry.message) {
            header.entry = Some(entry.clone());
        }
        self.entries.insert(entry.message, entry);
    }
}
