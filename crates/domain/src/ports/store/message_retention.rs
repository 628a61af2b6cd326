//! Store of the removal of messages.

use async_trait::async_trait;

use crate::{
    event::Event,
    message::removal::{MessageCutoffs, MessageRemoval},
    messaging::state::SessionMessaging,
    ports::error::PortResult,
    session::message_storage::MessageStorage,
    time::Timestamp,
};

/// Rows that one statement removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RemovedSlice {
    /// Number of rows of all kinds.
    pub rows: u64,
    /// Number of messages among them.
    pub messages: u64,
}

/// Returns the cutoffs of a session with these settings.
pub type CutoffRule<'a> = &'a (dyn Fn(MessageStorage, u32) -> MessageCutoffs + Send + Sync);

/// Removes messages of all organizations.
#[async_trait]
pub trait MessageRetentionStore: Send + Sync {
    /// Claims one deleted session whose messages remain, until a time. `None` without such a session.
    /// A session without messages, chats and message events leaves nothing to remove.
    async fn claim_removal(
        &self,
        now: Timestamp,
        until: Timestamp,
    ) -> PortResult<Option<MessageRemoval>>;

    /// Removes up to `limit` rows of a deleted session: messages, then events of stream `messages`,
    /// entries of the outbox, names and chats.
    async fn remove_slice(&self, row: &SessionMessaging, limit: u32) -> PortResult<RemovedSlice>;

    /// Ends a claim before the removal is complete.
    async fn release_removal(&self, row: &SessionMessaging, now: Timestamp) -> PortResult<()>;

    /// Writes the event of a complete removal, and removes the row of counters. A session with the id
    /// that exists again gets new counters.
    async fn finish_removal(&self, row: &SessionMessaging, event: &Event) -> PortResult<()>;

    /// Removes at most `limit` entries of the outbox that finished before a time; returns their number.
    async fn sweep_outbox(&self, before: Timestamp, limit: u32) -> PortResult<u32>;

    /// Removes parts of messages that are older than the cutoffs of their sessions, of the next
    /// sessions in rotation, at most `limit` rows of each part and session. Messages that wait to be
    /// sent stay, and later ones of their session. Returns whether the rotation is complete.
    async fn prune_messages(&self, cutoffs: CutoffRule<'_>, limit: u32) -> PortResult<bool>;
}
