//! Limits the concurrent transactions of one organization on PostgreSQL.
//!
//! Transactions that count resources of one organization wait for each other at the row of the
//! count. If each held a connection while waiting, one organization could hold all connections. So
//! each organization has at most [`MAX_TRANSACTIONS`] in flight.
//!
//! Decision: ADR 0031.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Concurrent transactions of one organization: one that executes, and one that is about to.
const MAX_TRANSACTIONS: usize = 2;

/// The permission for one transaction; dropping the value returns the permission.
pub(crate) struct TransactionPermit(
    #[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit,
);

/// A semaphore for each organization that has transactions.
#[derive(Default)]
pub(crate) struct OrganizationPermits(Mutex<HashMap<String, Weak<Semaphore>>>);

impl OrganizationPermits {
    /// Waits for a permit of the organization.
    pub(crate) async fn acquire(&self, organization: &str) -> Option<TransactionPermit> {
        self.semaphore(organization).acquire_owned().await.ok().map(TransactionPermit)
    }

    /// Returns the semaphore of the organization, which exists while transactions hold or await
    /// permits.
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
