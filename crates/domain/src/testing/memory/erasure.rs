//! Erasure of organizations in memory.

use async_trait::async_trait;

use crate::{
    id::OrganizationId,
    ports::{
        error::PortResult,
        store::erasure::{ErasedRows, ErasureStore},
    },
    testing::memory::state::{Memory, MemoryState, count},
};

#[async_trait]
impl ErasureStore for Memory {
    async fn unfinished_deletions(&self, organization: &OrganizationId) -> PortResult<u64> {
        let state = self.state()?;
        let cleanups =
            state.cleanups.values().filter(|cleanup| cleanup.organization == *organization);
        let messaging =
            state.messaging.values().filter(|rows| rows.row.organization == *organization);
        Ok(count(cleanups.count()) + count(messaging.count()))
    }

    async fn erase_rows(
        &self,
        organization: &OrganizationId,
        rows: ErasedRows,
        limit: u32,
    ) -> PortResult<u64> {
        let mut state = self.state()?;
        let mut left = usize::try_from(limit).unwrap_or(usize::MAX);
        // Returns whether a row stays.
        let mut stays = |owner: &OrganizationId| {
            let is_erased = owner == organization && left > 0;
            left -= usize::from(is_erased);
            !is_erased
        };
        let before = erasable(&state);
        let MemoryState { browser_sessions, keys, idempotency_records, attempts, events, .. } =
            &mut *state;
        match rows {
            ErasedRows::BrowserSessions => {
                browser_sessions.retain(|_, it| it.organization.as_ref().is_none_or(&mut stays));
            }
            ErasedRows::ApiKeys => keys.retain(|_, key| stays(&key.organization)),
            ErasedRows::IdempotencyRecords => {
                idempotency_records.retain(|(owner, _), _| stays(owner));
            }
            ErasedRows::LinkAttempts => attempts.retain(|(owner, _)| stays(owner)),
            ErasedRows::Events => events.retain(|stored| stays(&stored.event.organization)),
        }
        Ok(count(before - erasable(&state)))
    }
}

/// Returns the number of rows that an erasure of all organizations removes.
fn erasable(state: &MemoryState) -> usize {
    state.browser_sessions.len()
        + state.keys.len()
        + state.idempotency_records.len()
        + state.attempts.len()
        + state.events.len()
}
