//! Removal of messages in memory.

use async_trait::async_trait;

use crate::{
    event::{Event, stream::EventStream},
    message::{message_id::MessageId, removal::MessageRemoval},
    messaging::state::SessionMessaging,
    outbox::model::OutboxState,
    ports::{
        error::PortResult,
        store::message_retention::{CutoffRule, MessageRetentionStore, RemovedSlice},
    },
    testing::memory::{
        messaging_rows::MessagingRows,
        state::{Memory, count},
    },
    time::Timestamp,
};

impl MessagingRows {
    /// Returns the first message that waits to be sent.
    fn first_waiting(&self) -> MessageId {
        let waiting = self.entries.values().filter(|(entry, _)| entry.state != OutboxState::Done);
        waiting.map(|(entry, _)| entry.message).min().unwrap_or(MessageId(u64::MAX))
    }
}

#[async_trait]
impl MessageRetentionStore for Memory {
    async fn claim_removal(
        &self,
        now: Timestamp,
        until: Timestamp,
    ) -> PortResult<Option<MessageRemoval>> {
        let mut state = self.state()?;
        let is_due = |rows: &&mut MessagingRows| rows.removal_due.is_some_and(|due| due <= now);
        Ok(state.messaging.values_mut().find(is_due).map(|rows| {
            rows.removal_due = Some(until);
            MessageRemoval { row: rows.row.clone(), removed: rows.removed }
        }))
    }

    async fn remove_slice(&self, row: &SessionMessaging, limit: u32) -> PortResult<RemovedSlice> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut state = self.state()?;
        let Some(rows) = state.messaging.get_mut(&row.session) else {
            return Ok(RemovedSlice::default());
        };
        let ids: Vec<_> = rows.messages.keys().take(limit).copied().collect();
        for id in &ids {
            rows.messages.remove(id);
        }
        if !ids.is_empty() {
            let messages = count(ids.len());
            rows.removed += messages;
            return Ok(RemovedSlice { rows: messages, messages });
        }
        let others = rows.chats.len() + rows.names.len() + rows.entries.len();
        rows.chats.clear();
        rows.names.clear();
        rows.entries.clear();
        let before = state.events.len();
        state.events.retain(|found| {
            found.event.session.as_ref() != Some(&row.session)
                || found.event.stream() != EventStream::Messages
        });
        Ok(RemovedSlice { rows: count(others + before - state.events.len()), messages: 0 })
    }

    async fn release_removal(&self, row: &SessionMessaging, now: Timestamp) -> PortResult<()> {
        if let Some(rows) = self.state()?.messaging.get_mut(&row.session) {
            rows.removal_due = Some(now);
        }
        Ok(())
    }

    async fn finish_removal(&self, row: &SessionMessaging, event: &Event) -> PortResult<()> {
        let mut state = self.state()?;
        state.append(std::slice::from_ref(event));
        // A new session with the id begins with the sequence number of the event.
        state.messaging.remove(&row.session);
        Ok(())
    }

    async fn sweep_outbox(&self, before: Timestamp, limit: u32) -> PortResult<u32> {
        let mut state = self.state()?;
        let (mut removed, messaging) = (0, &mut state.messaging);
        for rows in messaging.values_mut() {
            rows.entries.retain(|id, (entry, _)| {
                let ended = rows.messages.get(id).map(|message| message.updated_at);
                let is_old = entry.state == OutboxState::Done && ended.is_none_or(|at| at < before);
                let goes = is_old && removed < limit;
                removed += u32::from(goes);
                !goes
            });
        }
        Ok(removed)
    }

    async fn prune_messages(&self, cutoffs: CutoffRule<'_>, _: u32) -> PortResult<bool> {
        let mut state = self.state()?;
        let sessions: Vec<_> = state.sessions.values().cloned().collect();
        for session in sessions {
            let Some(rows) = state.messaging.get_mut(&session.id) else { continue };
            let settings = &session.settings;
            let cutoffs = cutoffs(settings.messages, settings.retention_days);
            let waiting = rows.first_waiting();
            rows.messages.retain(|id, message| {
                *id >= waiting || cutoffs.messages.is_none_or(|at| message.created_at >= at)
            });
            for message in rows.messages.values_mut().filter(|message| message.id < waiting) {
                if cutoffs.bodies.is_some_and(|at| message.created_at < at) {
                    message.details = None;
                }
                if message.created_at < cutoffs.contents {
                    message.content = None;
                }
            }
        }
        Ok(true)
    }
}
