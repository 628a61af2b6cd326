//! Messages of all organizations in memory.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use async_trait::async_trait;

use crate::{
    chat::model::{Chat, ChatId},
    event::{Event, stream::EventStream},
    id::SessionId,
    message::model::{Message, MessageId},
    messaging::{
        change::{AcceptanceKey, ChatMerge, MessageUpdate, MessagingChange, MessagingCommit},
        state::{
            ChatName, ChatNameText, MessageHeader, MessagingLookup, MessagingState,
            SessionMessaging,
        },
    },
    outbox::model::{OutboxEntry, OutboxState},
    ports::{
        error::{PortError, PortResult},
        notify::VersionLookup,
        store::messaging::MessagingStore,
    },
    session::version::Version,
    testing::memory::state::{Memory, MemoryState},
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
    fn new(row: SessionMessaging) -> Self {
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
        Message { awaits_ack, outbox, ..message.clone() }
    }

    pub(in crate::testing) fn header(&self, message: &Message) -> MessageHeader {
        MessageHeader {
            id: message.id,
            wa_id: message.wa_id.clone(),
            chat: message.chat,
            sender: message.sender.clone(),
            source: message.source,
            flags: message.flags,
            state: message.state,
            reference: message.reference.clone(),
            entry: self.entries.get(&message.id).map(|(entry, _)| entry.clone()),
        }
    }

    fn state(&self, lookup: &MessagingLookup) -> MessagingState {
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

    fn write(&mut self, change: &MessagingChange) {
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

impl MemoryState {
    /// Returns the messages of a session that exists. `None` while those of a deleted session with the
    /// same id remain.
    pub(in crate::testing) fn messaging(&mut self, id: &SessionId) -> Option<&mut MessagingRows> {
        let session = self.sessions.get(id)?;
        let events = &self.events;
        let new = || {
            let of_session = events.iter().filter(|found| {
                found.event.session.as_ref() == Some(id)
                    && found.event.stream() == EventStream::Messages
            });
            let sequence = of_session.map(|found| found.event.sequence).max().unwrap_or_default();
            let row = SessionMessaging::new(session.organization.clone(), id.clone());
            MessagingRows::new(SessionMessaging { sequence, ..row })
        };
        let rows = self.messaging.entry(id.clone()).or_insert_with(new);
        rows.removal_due.is_none().then_some(rows)
    }

    /// Leaves the messages of a deleted session to their removal.
    pub(in crate::testing) fn end_messaging(&mut self, id: &SessionId) {
        let Some(rows) = self.messaging.get_mut(id) else { return };
        if rows.row.last_message == 0 && rows.row.last_chat == 0 && rows.row.sequence == 0 {
            self.messaging.remove(id);
        } else {
            rows.row.version.0 += 1;
            rows.row.outbox_due = None;
            rows.removal_due = Some(Timestamp::default());
        }
    }

    /// Adds the content of a message to its event, as it is stored now.
    pub(in crate::testing) fn with_content(&self, mut event: Event) -> Event {
        let rows = event.session.as_ref().and_then(|session| self.messaging.get(session));
        let message = event.payload.message().and_then(|id| rows?.messages.get(&id));
        if let Some(details) = message.and_then(|message| message.details.as_ref()) {
            event.payload.add_content(details);
        }
        event
    }
}

/// Versions of the messages of sessions in memory.
struct MemoryMessagingVersions(Memory);

#[async_trait]
impl VersionLookup for MemoryMessagingVersions {
    async fn versions(&self, ids: &[SessionId]) -> PortResult<HashMap<SessionId, Version>> {
        let mut state = self.0.state()?;
        let version = |id: &SessionId| Some((id.clone(), state.messaging(id)?.row.version));
        Ok(ids.iter().filter_map(version).collect())
    }
}

impl Memory {
    /// Returns a lookup of the versions of sessions' messages.
    pub fn messaging_versions(&self) -> Arc<dyn VersionLookup> {
        Arc::new(MemoryMessagingVersions(self.clone()))
    }
}

#[async_trait]
impl MessagingStore for Memory {
    async fn messaging_states(
        &self,
        lookups: &[MessagingLookup],
    ) -> PortResult<Vec<MessagingState>> {
        let mut state = self.state()?;
        let mut states = Vec::new();
        for lookup in lookups {
            let Some(session) = state.sessions.get(&lookup.session).cloned() else { continue };
            let session = state.readable(&session)?;
            let Some(rows) = state.messaging(&lookup.session) else {
                let cause = "messages of an earlier session with this id remain";
                return Err(PortError::Broken(cause.into()));
            };
            states.push(MessagingState {
                phone: session.observed.identity.map(|identity| identity.phone),
                auto_read: session.settings.auto_read,
                gateway: session.gateway,
                ..rows.state(lookup)
            });
        }
        Ok(states)
    }

    async fn commit_messaging(
        &self,
        commits: &[MessagingCommit],
    ) -> PortResult<BTreeSet<SessionId>> {
        let mut state = self.state()?;
        let mut written = BTreeSet::new();
        for commit in commits {
            let id = &commit.change.row.session;
            let Some(rows) = state.messaging(id) else { continue };
            if rows.row.version == commit.change.expected {
                rows.write(&commit.change);
                state.append(&commit.events);
                written.insert(id.clone());
            }
        }
        Ok(written)
    }
}
