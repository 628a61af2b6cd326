//! Messages of all organizations in memory.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use async_trait::async_trait;

use crate::{
    event::{Event, stream::EventStream},
    id::SessionId,
    messaging::{
        change::MessagingCommit,
        state::{MessagingLookup, MessagingState, SessionMessaging},
    },
    ports::{
        error::{PortError, PortResult},
        notify::VersionLookup,
        store::messaging::MessagingStore,
    },
    session::version::Version,
    testing::memory::{
        messaging_rows::MessagingRows,
        state::{Memory, MemoryState},
    },
    time::Timestamp,
};

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
