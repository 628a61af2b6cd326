//! The removal of messages in memory.

use async_trait::async_trait;

use crate::{
    event::stream::EventStream,
    id::{EventId, OrganizationId, SessionId},
    message::model::MessageId,
    messaging::removal::{MessageAges, MessageExpiry, MessageRemoval},
    outbox::model::OutboxState,
    ports::{error::PortResult, store::message_removal::MessageRemovalStore},
    testing::memory::{
        messaging::MessagingRows,
        state::{Memory, MemoryState, count},
    },
    time::Timestamp,
};

impl MemoryState {
    /// Returns the messages of a deleted session.
    fn removal(&mut self, removal: &MessageRemoval) -> Option<&mut MessagingRows> {
        let is_deleted = !self.sessions.contains_key(&removal.session);
        self.messaging.get_mut(&removal.session).filter(|_| is_deleted)
    }
}

/// Removes entries from a map while any are left, and counts them.
fn take<K: Clone + Ord, V>(map: &mut std::collections::BTreeMap<K, V>, left: &mut usize) -> usize {
    let keys: Vec<_> = map.keys().take(*left).cloned().collect();
    for key in &keys {
        map.remove(key);
    }
    *left -= keys.len();
    keys.len()
}

#[async_trait]
impl MessageRemovalStore for Memory {
    async fn claim_message_removals(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> PortResult<Vec<MessageRemoval>> {
        let mut state = self.state()?;
        let MemoryState { sessions, messaging, .. } = &mut *state;
        let is_due = |(id, rows): &(&SessionId, &mut MessagingRows)| {
            !sessions.contains_key(*id) && rows.removal.due.is_none_or(|due| due <= now)
        };
        let due = messaging.iter_mut().filter(is_due);
        let claimed = due.take(usize::try_from(limit).unwrap_or(usize::MAX)).map(|(id, rows)| {
            rows.removal.due = Some(until);
            MessageRemoval { organization: rows.row.organization.clone(), session: id.clone() }
        });
        Ok(claimed.collect())
    }

    async fn remove_messages(
        &self,
        removal: &MessageRemoval,
        now: Timestamp,
        limit: u32,
    ) -> PortResult<u32> {
        let mut state = self.state()?;
        if state.removal(removal).is_none() {
            return Ok(0);
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut left = limit;
        state.events.retain(|stored| {
            let event = &stored.event;
            let is_removed = event.session.as_ref() == Some(&removal.session)
                && event.stream() == EventStream::Messages
                && left > 0;
            left -= usize::from(is_removed);
            !is_removed
        });
        let Some(rows) = state.removal(removal) else { return Ok(0) };
        take(&mut rows.entries, &mut left);
        let messages = take(&mut rows.messages, &mut left);
        take(&mut rows.names, &mut left);
        take(&mut rows.chats, &mut left);
        rows.removal.removed += count(messages);
        rows.removal.due = Some(now);
        Ok(u32::try_from(limit - left).unwrap_or(u32::MAX))
    }

    async fn finish_message_removal(
        &self,
        removal: &MessageRemoval,
        event: EventId,
        at: Timestamp,
    ) -> PortResult<bool> {
        let mut state = self.state()?;
        let Some(rows) = state.removal(removal) else { return Ok(false) };
        let event = removal.event(event, rows.row.sequence + 1, at, rows.removal.removed);
        state.messaging.remove(&removal.session);
        state.append(&[event]);
        Ok(true)
    }

    async fn message_ages(
        &self,
        after: Option<(OrganizationId, SessionId)>,
        limit: u32,
    ) -> PortResult<Vec<MessageAges>> {
        let state = self.state()?;
        let ages = state.messaging.iter().filter_map(|(id, rows)| {
            let session = state.sessions.get(id)?;
            let after_mark = |mark| {
                rows.messages.iter().find(|(id, _)| **id > mark).map(|(_, one)| one.created_at)
            };
            Some(MessageAges {
                organization: session.organization.clone(),
                session: id.clone(),
                storage: session.settings.messages,
                retention_days: session.settings.retention_days,
                oldest: after_mark(MessageId::default()),
                oldest_body: after_mark(rows.removal.body_mark),
                oldest_content: after_mark(rows.removal.content_mark),
            })
        });
        let key = |ages: &MessageAges| (ages.organization.clone(), ages.session.clone());
        let mut ages: Vec<_> =
            ages.filter(|ages| after.as_ref().is_none_or(|after| key(ages) > *after)).collect();
        ages.sort_by_key(key);
        ages.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(ages)
    }

    async fn expire_messages(
        &self,
        _organization: &OrganizationId,
        session: &SessionId,
        expiry: MessageExpiry,
        before: Timestamp,
        limit: u32,
    ) -> PortResult<u32> {
        let mut state = self.state()?;
        let Some(rows) = state.messaging(session) else { return Ok(0) };
        let mark = match expiry {
            MessageExpiry::Messages => MessageId::default(),
            MessageExpiry::Bodies => rows.removal.body_mark,
            MessageExpiry::Contents => rows.removal.content_mark,
        };
        let waits =
            |id| rows.entries.get(id).is_some_and(|(entry, _)| entry.state != OutboxState::Done);
        let old: Vec<_> = rows
            .messages
            .iter()
            .filter(|(id, _)| **id > mark)
            .take(usize::try_from(limit).unwrap_or(usize::MAX))
            .take_while(|(id, message)| message.created_at < before && !waits(*id))
            .map(|(id, _)| *id)
            .collect();
        for id in &old {
            let Some(message) = rows.messages.get_mut(id) else { continue };
            match expiry {
                MessageExpiry::Messages => {
                    rows.messages.remove(id);
                    rows.entries.remove(id);
                }
                MessageExpiry::Bodies => {
                    (message.details, message.content) = (None, None);
                    rows.removal.body_mark = *id;
                }
                MessageExpiry::Contents => {
                    message.content = None;
                    rows.removal.content_mark = *id;
                }
            }
        }
        Ok(u32::try_from(old.len()).unwrap_or(u32::MAX))
    }
}
