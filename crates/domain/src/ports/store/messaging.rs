//! Store of the messages of all organizations, for nodes and for the worker.

use std::collections::BTreeSet;

use async_trait::async_trait;

use crate::{
    id::SessionId,
    messaging::{
        change::MessagingCommit,
        state::{MessagingLookup, MessagingState},
    },
    ports::error::PortResult,
};

/// Messages of all organizations, for deliveries of nodes and for the outbox only.
#[async_trait]
pub trait MessagingStore: Send + Sync {
    /// Returns the states that decisions about sessions need, in any order. Deleted sessions are
    /// missing. Each session has at most one lookup.
    async fn messaging_states(
        &self,
        lookups: &[MessagingLookup],
    ) -> PortResult<Vec<MessagingState>>;

    /// Writes the changes of sessions with their events, in one transaction, each if the row of its
    /// session exists and has the expected version. Returns the sessions whose changes are written.
    /// Each session has at most one commit.
    async fn commit_messaging(
        &self,
        commits: &[MessagingCommit],
    ) -> PortResult<BTreeSet<SessionId>>;
}
