//! Versions of sessions and the condition of a guarded write.
//!
//! Decision: ADR 0012.

use std::fmt;

use crate::time::Timestamp;

/// Number of a change of a session, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Condition of a guarded write: the version and the due time that the stored row must have.
///
/// The version alone is not sufficient. A wake changes `due` only. A write that ignores the wake
/// would postpone the session again, and a node that came back would wait without end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpectedVersion {
    /// Version of the stored row.
    pub version: Version,
    /// Due time of the stored row.
    pub due: Option<Timestamp>,
}

/// Version of a stored row, valid or not. Guards a delete, also of a row that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredVersion(pub i64);

/// A version above the maximum of the column matches no row.
impl From<Version> for StoredVersion {
    fn from(version: Version) -> Self {
        Self(i64::try_from(version.0).unwrap_or(i64::MAX))
    }
}

/// Due time of a row when it was read. Not a part of the session's state: two values always compare
/// equal.
#[derive(Clone, Copy, Debug, Default)]
pub struct DueAsRead(pub Option<Timestamp>);

impl PartialEq for DueAsRead {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for DueAsRead {}
