//! The outbox in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::{
    access::Scope,
    id::{OrganizationId, SessionId},
    idempotency::IdempotencyKeyHash,
    message::{
        kind::MessageSource,
        message_id::MessageId,
        model::Message,
        state::{AckLevel, MessageState},
    },
    messaging::state::{ChatName, ChatNameText, MessagingState},
    outbox::{
        model::{OutboxEntry, OutboxState},
        pace::HandOverTimes,
    },
    ports::{
        error::PortResult,
        store::{
            outbox::{DueOutbox, KeyedEntry, OutboxStore, WaitingMessages},
            worker::Claim,
        },
    },
    session::model::Session,
    testing::memory::{
        messaging_rows::MessagingRows,
        state::{Memory, MemoryState, count},
        worker_store::select_due,
    },
    time::Timestamp,
};

impl MessagingRows {
    /// Returns the entries that are not done, oldest first.
    fn waiting(&self) -> impl Iterator<Item = &OutboxEntry> {
        let entries = self.entries.values().map(|(entry, _)| entry);
        entries.filter(|entry| entry.state != OutboxState::Done)
    }

    /// Returns the state with these messages, their chats, and all names of these chats.
    fn state_of(&self, session: &Session, ids: &[MessageId]) -> MessagingState {
        let messages: Vec<_> =
            ids.iter().filter_map(|id| self.messages.get(id)).map(|it| self.header(it)).collect();
        let is_of_message = |id| messages.iter().any(|header| header.chat == id);
        let chats = self.chats.values().filter(|chat| is_of_message(chat.id)).cloned().collect();
        let leads = |name: &&ChatName| name.chat.is_some_and(is_of_message);
        let names = self.names.values().filter(leads).cloned().collect();
        MessagingState {
            row: self.row.clone(),
            phone: session.observed.identity.as_ref().map(|identity| identity.phone.clone()),
            gateway: session.gateway.clone(),
            auto_read: session.settings.auto_read,
            names,
            chats,
            messages,
        }
    }
}

impl MemoryState {
    /// Wakes the outbox of a session that begins to work or has another number.
    pub(in crate::testing) fn wake_outbox(&mut self, session: &SessionId) {
        if let Some(rows) = self.messaging(session).filter(|rows| rows.row.queued > 0) {
            rows.row.version.0 += 1;
            rows.row.outbox_due = Some(Timestamp::from_millis(0));
        }
    }

    fn outbox(&mut self, id: &SessionId) -> PortResult<Option<(Session, &MessagingRows)>> {
        let Some(session) = self.sessions.get(id).cloned() else { return Ok(None) };
        let session = self.readable(&session)?;
        Ok(self.messaging(id).map(|rows| (session, &*rows)))
    }
}

fn limited<T>(items: impl Iterator<Item = T>, limit: u32) -> Vec<T> {
    items.take(usize::try_from(limit).unwrap_or(usize::MAX)).collect()
}

#[async_trait]
impl OutboxStore for Memory {
    async fn claim_outboxes(&self, claim: &Claim) -> PortResult<Vec<DueOutbox>> {
        let mut state = self.state()?;
        let is_due =
            |rows: &&MessagingRows| rows.row.outbox_due.is_some_and(|due| due <= claim.now);
        let MemoryState { messaging, sessions, .. } = &mut *state;
        let due = messaging.values().filter(is_due).map(|rows| &rows.row);
        let due = due.filter(|row| sessions.contains_key(&row.session));
        let due = due.map(|row| (row.outbox_due, row.organization.clone(), row.session.clone()));
        let mut claimed = Vec::new();
        for id in select_due(due.collect(), claim) {
            let Some(rows) = messaging.get_mut(&id) else { continue };
            rows.row.outbox_due = Some(claim.until);
            let organization = rows.row.organization.clone();
            claimed.push(DueOutbox { organization, session: id });
        }
        Ok(claimed)
    }

    async fn release_outbox(&self, due: &DueOutbox, at: Timestamp) -> PortResult<()> {
        let mut state = self.state()?;
        if let Some(rows) = state.messaging(&due.session) {
            rows.row.outbox_due = rows.row.outbox_due.map(|known| known.min(at));
        }
        Ok(())
    }

    async fn next_outbox_due(&self) -> PortResult<Option<Timestamp>> {
        let state = self.state()?;
        let existing =
            state.messaging.values().filter(|rows| state.sessions.contains_key(&rows.row.session));
        Ok(existing.filter_map(|rows| rows.row.outbox_due).min())
    }

    async fn oldest_waiting(&self) -> PortResult<Option<Timestamp>> {
        let state = self.state()?;
        let waiting = state.messaging.values().flat_map(MessagingRows::waiting);
        Ok(waiting.map(|entry| entry.accepted_at).min())
    }

    async fn waiting_messages(
        &self,
        session: &SessionId,
        now: Timestamp,
        limit: u32,
    ) -> PortResult<Option<WaitingMessages>> {
        let mut state = self.state()?;
        let Some((session, rows)) = state.outbox(session)? else { return Ok(None) };
        let is_handed = |entry: &&OutboxEntry| entry.state == OutboxState::Handed;
        let is_head = |entry: &&OutboxEntry| {
            let before =
                |other: &OutboxEntry| other.chat == entry.chat && other.message < entry.message;
            !rows.waiting().any(before)
        };
        let is_paused = rows.row.paused_until.is_some_and(|until| until > now);
        let may_leave = |entry: &OutboxEntry| {
            !is_paused || rows.chats.get(&entry.chat).is_some_and(|chat| chat.has_inbound)
        };
        let is_waiting =
            |entry: &&OutboxEntry| is_handed(entry) || (is_head(entry) && may_leave(entry));
        let ids = rows.waiting().filter(is_waiting).map(|entry| entry.message);
        let ids = limited(ids, limit);
        let never_handed = rows.waiting().filter(|entry| entry.state == OutboxState::Queued);
        Ok(Some(WaitingMessages {
            state: rows.state_of(&session, &ids),
            next_expiry: never_handed.map(|entry| entry.expires_at).min(),
            session,
        }))
    }

    async fn ended_messages(
        &self,
        session: &SessionId,
        account: &str,
        now: Timestamp,
        limit: u32,
    ) -> PortResult<Option<MessagingState>> {
        let mut state = self.state()?;
        let Some((session, rows)) = state.outbox(session)? else { return Ok(None) };
        let has_ended = |entry: &&OutboxEntry| {
            entry.state == OutboxState::Queued
                && (entry.expires_at <= now || entry.account != account)
        };
        let ended = rows.waiting().filter(has_ended).map(|entry| entry.message);
        Ok(Some(rows.state_of(&session, &limited(ended, limit))))
    }

    async fn message_texts(
        &self,
        _: &OrganizationId,
        session: &SessionId,
        messages: &[MessageId],
    ) -> PortResult<BTreeMap<MessageId, String>> {
        let mut state = self.state()?;
        let Some((_, rows)) = state.outbox(session)? else { return Ok(BTreeMap::new()) };
        let text = |id: &MessageId| {
            let details = rows.messages.get(id)?.details.as_ref()?;
            Some((*id, details.body.clone()?))
        };
        Ok(messages.iter().filter_map(text).collect())
    }

    async fn hand_overs(
        &self,
        _: &OrganizationId,
        session: &SessionId,
        since: Timestamp,
        nth: u32,
    ) -> PortResult<HandOverTimes> {
        let mut state = self.state()?;
        let Some((_, rows)) = state.outbox(session)? else { return Ok(HandOverTimes::default()) };
        let times = rows.entries.values().filter_map(|(entry, _)| entry.handed_at);
        let mut times: Vec<_> = times.filter(|at| *at > since).collect();
        times.sort_unstable();
        let back = usize::try_from(nth).unwrap_or(usize::MAX).saturating_sub(1);
        let nth_newest = times.iter().rev().nth(back).copied();
        Ok(HandOverTimes { count: count(times.len()), nth_newest })
    }

    async fn unread_messages(
        &self,
        session: &SessionId,
        limit: u32,
    ) -> PortResult<Option<MessagingState>> {
        let mut state = self.state()?;
        let Some((session, rows)) = state.outbox(session)? else { return Ok(None) };
        let is_unread = |message: &&Message| {
            message.source == MessageSource::Contact
                && message.state == MessageState::Reached(AckLevel::Delivered)
                && message.is_listed()
                && !message.flags.undecryptable
        };
        let unread = rows.messages.values().filter(is_unread).map(|message| message.id);
        Ok(Some(rows.state_of(&session, &limited(unread, limit))))
    }

    async fn chat_name(
        &self,
        scope: &Scope,
        session: &SessionId,
        account: &str,
        name: &ChatNameText,
    ) -> PortResult<Option<ChatName>> {
        let mut state = self.state()?;
        if state.visible(scope, session).is_none() {
            return Ok(None);
        }
        let rows = state.messaging(session);
        Ok(rows.and_then(|rows| rows.names.get(&(account.to_owned(), name.clone())).cloned()))
    }

    async fn entry_by_key(
        &self,
        scope: &Scope,
        key_hash: &IdempotencyKeyHash,
    ) -> PortResult<Option<KeyedEntry>> {
        let state = self.state()?;
        let of_organization =
            state.messaging.values().filter(|rows| rows.row.organization == *scope.organization());
        let mut keyed = of_organization.flat_map(|rows| {
            let entry = |(message, (_, key)): (&MessageId, &(_, Option<_>))| {
                let (session, message) = (rows.row.session.clone(), *message);
                key.clone().map(|key| KeyedEntry { session, message, key })
            };
            rows.entries.iter().filter_map(entry)
        });
        Ok(keyed.find(|entry| entry.key.key_hash == *key_hash))
    }

    async fn waiting_before(
        &self,
        scope: &Scope,
        session: &SessionId,
        message: MessageId,
    ) -> PortResult<u64> {
        let mut state = self.state()?;
        if state.visible(scope, session).is_none() {
            return Ok(0);
        }
        let rows = state.messaging(session);
        let before =
            rows.map_or(0, |rows| rows.waiting().filter(|it| it.message < message).count());
        Ok(count(before))
    }
}
