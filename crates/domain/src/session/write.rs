//! Changes of sessions, as stores write them.

use crate::{
    cleanup::Cleanup,
    link_attempt::LinkAttempt,
    session::{
        model::Session,
        version::{ExpectedVersion, StoredVersion},
    },
};

/// The next state of a session, and the condition on its stored row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionUpdate {
    /// The next state.
    pub session: Session,
    /// Version and due time that the stored row must have.
    pub expected: ExpectedVersion,
}

/// A change of one session for a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionWrite {
    /// Inserts the session, and counts the link attempt that it begins.
    Insert(Session, Option<LinkAttempt>),
    /// Replaces the session, and counts the link attempt that the change begins.
    Update(SessionUpdate, Option<LinkAttempt>),
    /// Deletes the session of this version, and inserts its cleanup unless it is complete.
    Delete(Cleanup, StoredVersion),
}

impl SessionWrite {
    /// Returns the link attempt that the change begins.
    pub fn attempt(&self) -> Option<&LinkAttempt> {
        match self {
            Self::Insert(_, attempt) | Self::Update(_, attempt) => attempt.as_ref(),
            Self::Delete(..) => None,
        }
    }
}
