//! Store of the outbox: messages that wait for their sending.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::{
    access::Scope,
    id::{OrganizationId, SessionId},
    idempotency::IdempotencyKeyHash,
    message::message_id::MessageId,
    messaging::{
        change::AcceptanceKey,
        state::{ChatName, ChatNameText, MessagingState},
    },
    outbox::pace::HandOverTimes,
    ports::{error::PortResult, store::worker::Claim},
    session::model::Session,
    time::Timestamp,
};

/// A session whose outbox is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueOutbox {
    /// The organization of the session.
    pub organization: OrganizationId,
    /// The session.
    pub session: SessionId,
}

/// What waits in the outbox of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingMessages {
    /// The session.
    pub session: Session,
    /// Counters, the messages that wait, their chats, and the names of the chats without an address.
    pub state: MessagingState,
    /// The earliest expiry of all entries that were never handed over.
    pub next_expiry: Option<Timestamp>,
}

/// The entry of a request with an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyedEntry {
    /// The session of the message.
    pub session: SessionId,
    /// The message.
    pub message: MessageId,
    /// The fingerprint of the request.
    pub key: AcceptanceKey,
}

/// Entries of the outbox. A change of an entry is part of a
/// [`MessagingChange`](crate::messaging::change::MessagingChange).
#[async_trait]
pub trait OutboxStore: Send + Sync {
    /// Claims sessions whose outbox is due, and postpones the due time, as
    /// [`WorkerStore::claim_sessions`](crate::ports::store::worker::WorkerStore::claim_sessions). The
    /// version of the session's messages does not change.
    async fn claim_outboxes(&self, claim: &Claim) -> PortResult<Vec<DueOutbox>>;

    /// Makes a claimed outbox due at `at`, if something waits in it and it is not due before. The version
    /// does not change.
    async fn release_outbox(&self, due: &DueOutbox, at: Timestamp) -> PortResult<()>;

    /// Returns the earliest due time of an outbox.
    async fn next_outbox_due(&self) -> PortResult<Option<Timestamp>>;

    /// Returns the time of acceptance of the oldest entry of all sessions that is not done.
    async fn oldest_waiting(&self) -> PortResult<Option<Timestamp>>;

    /// Returns at most `limit` entries that are not done, oldest first: all that were handed over, and of
    /// each chat the oldest one. First contacts are missing while the session pauses them at `now`.
    /// `None` for a session that does not exist.
    async fn waiting_messages(
        &self,
        session: &SessionId,
        now: Timestamp,
        limit: u32,
    ) -> PortResult<Option<WaitingMessages>>;

    /// Returns at most `limit` messages in the outbox of a session that were never handed over, or are
    /// queued again, and have expired or were accepted for another account than `account`. Without
    /// names.
    async fn ended_messages(
        &self,
        session: &SessionId,
        account: &str,
        now: Timestamp,
        limit: u32,
    ) -> PortResult<Option<MessagingState>>;

    /// Returns the texts of messages of a session. A message whose text was removed is missing.
    async fn message_texts(
        &self,
        organization: &OrganizationId,
        session: &SessionId,
        messages: &[MessageId],
    ) -> PortResult<BTreeMap<MessageId, String>>;

    /// Returns how often messages of a session were handed over after `since`, and the time of the
    /// `nth` newest of these hand-overs, from 1.
    async fn hand_overs(
        &self,
        organization: &OrganizationId,
        session: &SessionId,
        since: Timestamp,
        nth: u32,
    ) -> PortResult<HandOverTimes>;

    /// Returns at most `limit` of the newest 2,000 messages of a session that partners and members sent
    /// and the account has not read, oldest first, with their chats. Undecryptable messages are
    /// missing.
    async fn unread_messages(
        &self,
        session: &SessionId,
        limit: u32,
    ) -> PortResult<Option<MessagingState>>;

    /// Returns a name of chats of an account, also one of digits without an account at WhatsApp.
    async fn chat_name(
        &self,
        scope: &Scope,
        session: &SessionId,
        account: &str,
        name: &ChatNameText,
    ) -> PortResult<Option<ChatName>>;

    /// Returns the entry of a request with this key in the scope's organization.
    async fn entry_by_key(
        &self,
        scope: &Scope,
        key_hash: &IdempotencyKeyHash,
    ) -> PortResult<Option<KeyedEntry>>;

    /// Returns the number of entries of a session before this message that are not done.
    async fn waiting_before(
        &self,
        scope: &Scope,
        session: &SessionId,
        message: MessageId,
    ) -> PortResult<u64>;
}
