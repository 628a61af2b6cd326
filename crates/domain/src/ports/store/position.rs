//! Positions in lists.

use crate::{id::SessionId, time::Timestamp};

/// A place in a list that runs from the newest to the oldest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position<Id = SessionId> {
    /// When the last one shown was made.
    pub created_at: Timestamp,
    /// Its name, which breaks ties.
    pub id: Id,
}
