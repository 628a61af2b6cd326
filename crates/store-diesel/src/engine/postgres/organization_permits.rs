//! Turns of organizations at PostgreSQL's connections.
//!
//! Transactions that count something of one organization wait for each other, by the row of the count. Did
//! each of them wait with a connection in its hand, one organization's would hold all connections, and
//! others would wait for those. So each organization has only a few of them under way.
//!
//! Decision: ADR 0031.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Transactions of one organization at once: one that is carried out, and one that is about to be.
const MAX_TRANSACTIONS: usize = 2;

/// The right to one of them, until it is dropped. `None` when there is nothing to wait for any more.
pub(crate) struct TransactionPermit(
    #[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit,
);

/// Who has a turn.
#[derive(Default)]
pub(crate) struct OrganizationPermits(Mutex<HashMap<String, Weak<Semaphore>>>);

impl OrganizationPermits {
    /// Waits for a turn of this organization.
    pub(crate) async fn acquire(&self, organization: &str) -> Option<TransactionPermit> {
        self.semaphore(organization).acquire_owned().await.ok().map(TransactionPermit)
    }

    /// Where the organization's transactions wait. Kept for as long as there are any.
    fn semaphore(&self, organization: &str) -> Arc<Semaphore> {
        let mut semaphores = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(semaphore) = semaphores.get(organization).and_then(Weak::upgrade) {
            return semaphore;
        }
        semaphores.retain(|_, semaphore| semaphore.strong_count() > 0);
        let semaphore = Arc::new(Semaphore::new(MAX_TRANSACTIONS));
        semaphores.insert(organization.to_owned(), Arc::downgrade(&semaphore));
        semaphore
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn organization_waits_only_for_itself_and_its_entry_is_removed() {
        let permits = OrganizationPermits::default();
        let first = permits.acquire("acme").now_or_never();
        let second = permits.acquire("acme").now_or_never();
        assert!(first.is_some() && second.is_some());
        assert!(permits.acquire("acme").now_or_never().is_none(), "it waits");
        let other = permits.acquire("zeta").now_or_never();
        assert!(other.is_some(), "others do not");
        drop(first);
        assert!(permits.acquire("acme").now_or_never().is_some());
        drop((second, other));
        drop(permits.acquire("beta").now_or_never());
        assert_eq!(permits.0.lock().expect("not poisoned").len(), 1, "the last alone");
    }
}
