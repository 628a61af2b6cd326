//! Removes messages in small steps: those of deleted sessions at once, and old ones in each sweep.

use std::{
    sync::{MutexGuard, PoisonError, atomic::Ordering},
    time::Duration,
};

use domain::{
    EventId, MessageAges, MessageRemoval, OrganizationId, SessionId,
    ports::{Notification, PortResult},
};

use crate::Worker;

/// Duration of a claim of a removal; longer than one step.
const CLAIM: Duration = Duration::from_secs(30);
/// Maximum number of removals in a claim.
const MAX_REMOVALS: u32 = 16;
/// Maximum number of rows that one statement removes, so that other statements wait shortly.
const MAX_ROWS: u32 = 1_000;
/// Sessions in a page whose messages' ages are examined.
const MAX_SESSIONS: u32 = 500;
/// Maximum number of pages of one sweep. The next sweep continues after them.
const MAX_PAGES: u32 = 40;
/// Maximum number of statements of one sweep for the messages of a session.
const MAX_STATEMENTS: u32 = 40;

/// The session at which a sweep of old messages ended.
pub(crate) type AgedSession = (OrganizationId, SessionId);

impl Worker {
    /// Makes one step of the removals that are due, if no other task does. Returns the number of
    /// removals; more may be due.
    pub(crate) async fn remove_deleted_messages(&self) -> PortResult<usize> {
        if self.removes_messages.swap(true, Ordering::AcqRel) {
            return Ok(0);
        }
        let result = self.remove_due_messages().await;
        self.removes_messages.store(false, Ordering::Release);
        result
    }

    async fn remove_due_messages(&self) -> PortResult<usize> {
        let store = &self.ports.message_removals;
        let now = self.ports.environment.now();
        let removals = store.claim_message_removals(now, now.plus(CLAIM), MAX_REMOVALS).await?;
        for removal in &removals {
            self.continue_removal(removal).await?;
        }
        Ok(removals.len())
    }

    /// Makes one step of a removal. The last step finds no rows.
    async fn continue_removal(&self, removal: &MessageRemoval) -> PortResult<()> {
        let (store, environment) = (&self.ports.message_removals, &self.ports.environment);
        let now = environment.now();
        if store.remove_messages(removal, now, MAX_ROWS).await? > 0 {
            return Ok(());
        }
        let event = EventId::from_bits(environment.ulid());
        if store.finish_message_removal(removal, event, now).await? {
            let session = &removal.session;
            self.ports.notifier.notify(Notification::MessagesChanged { session, version: None });
        }
        Ok(())
    }

    /// Removes what has expired of messages. Continues after the session at which the last sweep
    /// ended.
    pub(crate) async fn sweep_messages(&self) -> PortResult<()> {
        for _ in 0..MAX_PAGES {
            let after = self.aged().clone();
            let page = self.ports.message_removals.message_ages(after, MAX_SESSIONS).await?;
            for ages in &page {
                self.expire(ages).await?;
            }
            let last = page.last().filter(|_| page.len() >= MAX_SESSIONS as usize);
            *self.aged() = last.map(|ages| (ages.organization.clone(), ages.session.clone()));
            if last.is_none() {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn expire(&self, ages: &MessageAges) -> PortResult<()> {
        let store = &self.ports.message_removals;
        for (expiry, before) in ages.expired(self.ports.environment.now()) {
            let (organization, session) = (&ages.organization, &ages.session);
            for _ in 0..MAX_STATEMENTS {
                let examined =
                    store.expire_messages(organization, session, expiry, before, MAX_ROWS).await?;
                if examined < MAX_ROWS {
                    break;
                }
            }
        }
        Ok(())
    }

    fn aged(&self) -> MutexGuard<'_, Option<AgedSession>> {
        self.aged_after.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
