//! Store of the worker that removes messages, across organizations.

use async_trait::async_trait;

use crate::{
    id::{EventId, OrganizationId, SessionId},
    messaging::removal::{MessageAges, MessageExpiry, MessageRemoval},
    ports::error::PortResult,
    time::Timestamp,
};

/// Removes the messages of deleted sessions, and old messages.
#[async_trait]
pub trait MessageRemovalStore: Send + Sync {
    /// Claims due removals, longest waiting first, and postpones them to `until`, so that they become
    /// due again after a crash of the claimer. Two claimers never get the same removal.
    async fn claim_message_removals(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> PortResult<Vec<MessageRemoval>>;

    /// Removes up to `limit` rows of a removal: events of the stream `messages` first, then the
    /// outbox, messages and chats. Makes the removal due at `now` again. Returns the number of rows.
    async fn remove_messages(
        &self,
        removal: &MessageRemoval,
        now: Timestamp,
        limit: u32,
    ) -> PortResult<u32>;

    /// Ends a removal without rows, with its event in the same transaction. Returns false if the
    /// removal had ended.
    async fn finish_message_removal(
        &self,
        removal: &MessageRemoval,
        event: EventId,
        at: Timestamp,
    ) -> PortResult<bool>;

    /// Returns the ages of the messages of sessions after one, in the order of organizations and
    /// sessions. `None` begins with the first. Sessions without messages are missing.
    async fn message_ages(
        &self,
        after: Option<(OrganizationId, SessionId)>,
        limit: u32,
    ) -> PortResult<Vec<MessageAges>>;

    /// Removes what was stored before a time from up to `limit` of the oldest messages of a session.
    /// A message that waits in the outbox stays. Returns the number of examined messages; fewer than
    /// `limit` say that nothing else has expired.
    async fn expire_messages(
        &self,
        organization: &OrganizationId,
        session: &SessionId,
        expiry: MessageExpiry,
        before: Timestamp,
        limit: u32,
    ) -> PortResult<u32>;
}
