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
const AT_ONCE: usize = 2;

/// The right to one of them, until it is dropped. `None` when there is nothing to wait for any more.
pub(crate) struct Turn(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

/// Who has a turn.
#[derive(Default)]
pub(crate) struct Turns(Mutex<HashMap<String, Weak<Semaphore>>>);

impl Turns {
    /// Waits for a turn of this organization.
    pub(crate) async fn of(&self, organization: &str) -> Option<Turn> {
        self.line(organization).acquire_owned().await.ok().map(Turn)
    }

    /// Where the organization's transactions wait. Kept for as long as there are any.
    fn line(&self, organization: &str) -> Arc<Semaphore> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.get(organization).and_then(Weak::upgrade) {
            return line;
        }
        lines.retain(|_, line| line.strong_count() > 0);
        let line = Arc::new(Semaphore::new(AT_ONCE));
        lines.insert(organization.to_owned(), Arc::downgrade(&line));
        line
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn an_organization_waits_for_itself_alone_and_leaves_nothing_behind() {
        let turns = Turns::default();
        let first = turns.of("acme").now_or_never();
        let second = turns.of("acme").now_or_never();
        assert!(first.is_some() && second.is_some());
        assert!(turns.of("acme").now_or_never().is_none(), "it waits");
        let other = turns.of("zeta").now_or_never();
        assert!(other.is_some(), "others do not");
        drop(first);
        assert!(turns.of("acme").now_or_never().is_some());
        drop((second, other));
        drop(turns.of("beta").now_or_never());
        assert_eq!(turns.0.lock().expect("not poisoned").len(), 1, "the last alone");
    }
}
