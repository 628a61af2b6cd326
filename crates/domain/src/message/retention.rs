//! Retention of messages by age, and the removal of the messages of deleted sessions.

use std::{sync::Arc, time::Duration};

use crate::{
    caller::Actor,
    error::Result,
    event::{Event, payload::EventPayload},
    id::EventId,
    messaging::state::SessionMessaging,
    ports::{
        environment::Environment,
        notify::{Notification, Notifier},
        store::message_retention::MessageRetentionStore,
    },
    session::message_storage::MessageStorage,
    time::Timestamp,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Time for which the encoded content of messages stays stored.
const CONTENT_DAYS: u32 = 14;
/// Time for which a router works on the removal of one session's messages before another router
/// may.
const CLAIM: Duration = Duration::from_secs(30);
/// Maximum number of slices of one session before others have their turn.
const MAX_SLICES: u32 = 20;
/// Time for which the entry of a finished message stays in the outbox, for repeated requests with its
/// idempotency key. Longer than the windows of the pace.
const ENTRIES: Duration = DAY;

/// The ages beyond which parts of a session's messages are removed, as times: older parts are
/// removed. `None` for parts that stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageCutoffs {
    /// Whole messages.
    pub messages: Option<Timestamp>,
    /// Bodies and encoded contents.
    pub bodies: Option<Timestamp>,
    /// Encoded contents.
    pub contents: Timestamp,
}

impl MessageCutoffs {
    /// Returns the cutoffs of a session with these settings. A body stays for a day in any case, so
    /// that streams and webhooks deliver it.
    pub fn new(storage: MessageStorage, retention_days: u32, now: Timestamp) -> Self {
        let before = |days: u32| now.minus(DAY.saturating_mul(days));
        let by_age = (retention_days > 0).then(|| before(retention_days));
        let contents = before(CONTENT_DAYS);
        match storage {
            MessageStorage::Full => Self { messages: by_age, bodies: None, contents },
            MessageStorage::Headers => {
                Self { messages: by_age, bodies: Some(before(1)), contents: before(1) }
            }
            MessageStorage::None => {
                Self { messages: Some(before(1)), bodies: None, contents: before(1) }
            }
        }
    }
}

/// The removal of a deleted session's messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageRemoval {
    /// Counters and marks of the session.
    pub row: SessionMessaging,
    /// Number of messages that are removed already.
    pub removed: u64,
}

impl MessageRemoval {
    /// Returns the event of the end of the removal.
    fn event(&self, environment: &dyn Environment) -> Event {
        Event {
            id: EventId::from_bits(environment.ulid()),
            organization: self.row.organization.clone(),
            session: Some(self.row.session.clone()),
            sequence: self.row.sequence + 1,
            at: environment.now(),
            actor: Actor::System,
            payload: EventPayload::SessionMessagesDeleted { removed: self.removed },
        }
    }
}

/// Removes messages: those of deleted sessions, and those that are older than their session asks
/// for.
#[derive(Clone)]
pub struct MessageRetention {
    store: Arc<dyn MessageRetentionStore>,
    environment: Arc<dyn Environment>,
    notifier: Arc<dyn Notifier>,
}

impl MessageRetention {
    /// Creates the use cases over these ports.
    pub fn new(
        store: Arc<dyn MessageRetentionStore>,
        environment: Arc<dyn Environment>,
        notifier: Arc<dyn Notifier>,
    ) -> Self {
        Self { store, environment, notifier }
    }

    /// Removes messages, message events and chats of one deleted session, `limit` rows at a time.
    /// After the last row, the event `session.messages_deleted` is written. Returns whether another
    /// call has work.
    ///
    /// # Errors
    /// Errors of the store. A later call continues.
    pub async fn remove_deleted(&self, limit: u32) -> Result<bool> {
        let now = self.environment.now();
        let removal = self.store.claim_removal(now, now.plus(CLAIM)).await?;
        let Some(mut removal) = removal else { return Ok(false) };
        for _ in 0..MAX_SLICES {
            let slice = self.store.remove_slice(&removal.row, limit).await?;
            removal.removed += slice.messages;
            if slice.rows == 0 {
                let event = removal.event(&*self.environment);
                self.store.finish_removal(&removal.row, &event).await?;
                let session = &removal.row.session;
                self.notifier.notify(Notification::MessagesChanged { session, version: None });
                return Ok(true);
            }
        }
        self.store.release_removal(&removal.row, now).await?;
        Ok(true)
    }

    /// Removes at most `limit` entries of the outbox that finished long ago; returns their number.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn remove_entries(&self, limit: u32) -> Result<u32> {
        let before = self.environment.now().minus(ENTRIES);
        Ok(self.store.sweep_outbox(before, limit).await?)
    }

    /// Removes parts of messages that are older than their sessions ask for, of some sessions in
    /// rotation, at most `limit` rows of each session. Returns whether every session had its turn.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn remove_old(&self, limit: u32) -> Result<bool> {
        let now = self.environment.now();
        let cutoffs = |storage, days| MessageCutoffs::new(storage, days, now);
        Ok(self.store.prune_messages(&cutoffs, limit).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_decide_about_each_part() {
        let now = Timestamp::from_millis(100 * 86_400_000);
        let day = |day: i64| Timestamp::from_millis(day * 86_400_000);
        let full = MessageCutoffs::new(MessageStorage::Full, 90, now);
        let expected =
            MessageCutoffs { messages: Some(day(10)), bodies: None, contents: day(86) };
        assert_eq!(full, expected);
        let for_ever = MessageCutoffs::new(MessageStorage::Full, 0, now);
        assert_eq!(for_ever, MessageCutoffs { messages: None, ..expected });
        let headers = MessageCutoffs::new(MessageStorage::Headers, 90, now);
        let bodies = Some(day(99));
        assert_eq!(headers, MessageCutoffs { bodies, contents: day(99), ..expected });
        let none = MessageCutoffs::new(MessageStorage::None, 0, now);
        assert_eq!((none.messages, none.contents), (Some(day(99)), day(99)));
    }
}
