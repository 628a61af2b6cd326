//! Positions in lists that run from newest to oldest.

use crate::{id::SessionId, time::Timestamp};

/// Position of the last entry of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position<Id = SessionId> {
    /// Creation time of the entry.
    pub created_at: Timestamp,
    /// Id of the entry, for entries with the same time.
    pub id: Id,
}
