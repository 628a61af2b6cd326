//! Versions of sessions and the condition of a guarded write.
//!
//! Decision: ADR 0012.

use std::fmt;

use crate::time::Timestamp;

/// Counts the changes of a session, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a session stood when it was read: what every write of it is guarded by.
///
/// The version alone would not do. Whoever wakes a session moves its `due` and nothing else; a write that
/// knows nothing of that would put it off again, and a node that is back would wait for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpectedVersion {
    /// Its version.
    pub version: Version,
    /// When it was to be looked at.
    pub due: Option<Timestamp>,
}

/// When a session was to be looked at, as it was read. No part of what the session is: two that differ
/// in nothing else are equal.
#[derive(Clone, Copy, Debug, Default)]
pub struct DueAsRead(pub Option<Timestamp>);

impl PartialEq for DueAsRead {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for DueAsRead {}
