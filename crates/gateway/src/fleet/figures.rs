//! The figures of all sessions, for the router, the service manager and operators.

use gateway_protocol::{JournalStats, Status};

use super::Fleet;

impl Fleet {
    /// Returns the number of sessions and the number of sessions that are logged in.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let all = self.sessions().entries.len();
        (all, self.count_of(Status::Working))
    }

    /// Returns the number of sessions with this status.
    pub(crate) fn count_of(&self, status: Status) -> usize {
        let sessions = self.sessions();
        sessions.entries.values().filter(|entry| entry.state_cell.status() == status).count()
    }

    /// Returns whether a router has accepted the registration of this node and the lease has not ended.
    pub(crate) fn is_registered(&self) -> bool {
        self.context.generation() > 0
    }

    /// Returns whether the file of the device keys can be used.
    pub(crate) fn can_use_keys(&self) -> bool {
        self.context.key_store.is_readable()
    }

    /// Returns the state of the journal.
    pub(crate) async fn journal_stats(&self) -> JournalStats {
        self.context.journal.stats().await
    }
}
