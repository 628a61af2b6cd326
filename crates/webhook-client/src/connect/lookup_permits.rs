//! Permits of lookups: a limit in all, and a limit for each organization.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// The number of organizations above which idle ones are removed from the map.
const MAX_IDLE: usize = 1_024;

/// Limits the lookups that run at once, so that slow name servers of one organization cannot occupy
/// every thread.
#[derive(Debug)]
pub(super) struct LookupPermits {
    all: Arc<Semaphore>,
    per_organization: usize,
    organizations: Mutex<HashMap<String, Weak<Semaphore>>>,
}

/// The right to run one lookup, until it is dropped.
#[derive(Debug)]
pub(super) struct LookupPermit {
    _of_organization: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl LookupPermits {
    pub(super) fn new(all: usize, per_organization: usize) -> Self {
        let all = Arc::new(Semaphore::new(all));
        Self { all, per_organization, organizations: Mutex::default() }
    }

    /// Waits for a permit of the organization, then for one of all.
    pub(super) async fn acquire(&self, organization: &str) -> Result<LookupPermit, AcquireError> {
        let own = self.of_organization(organization);
        let of_organization = own.acquire_owned().await?;
        let of_all = Arc::clone(&self.all).acquire_owned().await?;
        Ok(LookupPermit { _of_organization: of_organization, _of_all: of_all })
    }

    fn of_organization(&self, organization: &str) -> Arc<Semaphore> {
        let mut map = self.organizations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = map.get(organization).and_then(Weak::upgrade) {
            return own;
        }
        if map.len() >= MAX_IDLE {
            map.retain(|_, own| own.strong_count() > 0);
        }
        let own = Arc::new(Semaphore::new(self.per_organization));
        map.insert(organization.to_owned(), Arc::downgrade(&own));
        own
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn organization_gets_its_share_alone() {
        let permits = LookupPermits::new(3, 2);
        let take = |of: &str| permits.acquire(of).now_or_never().map(Result::unwrap);
        let (first, second) = (take("a").unwrap(), take("a").unwrap());
        assert!(take("a").is_none());
        let other = take("b").unwrap();
        assert!(take("c").is_none());
        drop(first);
        assert!(take("c").is_some());
        drop((second, other));
        assert!(take("a").is_some());
    }

    #[test]
    fn idle_organizations_are_removed() {
        let permits = LookupPermits::new(1, 1);
        for n in 0..3 * MAX_IDLE {
            drop(permits.acquire(&n.to_string()).now_or_never().unwrap().unwrap());
        }
        assert!(permits.organizations.lock().unwrap().len() <= MAX_IDLE);
    }
}
