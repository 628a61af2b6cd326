//! Retention of messages by age, and the removal of the messages of deleted sessions.

use std::{sync::Arc, time::Duration};

use crate::{
    error::Result,
    message::removal::MessageCutoffs,
    ports::{
        environment::Environment,
        notify::{Notification, Notifier},
        store::message_retention::MessageRetentionStore,
    },
};

/// Time for which a router works on the removal of one session's messages before another router
/// may.
const CLAIM: Duration = Duration::from_secs(30);
/// Maximum number of slices of one session before others have their turn.
const MAX_SLICES: u32 = 20;
/// Time for which the entry of a finished message stays in the outbox, for repeated requests with its
/// idempotency key. Longer than the windows of the pace.
const ENTRIES: Duration = Duration::from_secs(24 * 60 * 60);

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
