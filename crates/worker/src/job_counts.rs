//! What is under way for each organization: none may have so much of it that others wait.
//!
//! Decision: ADR 0030.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use domain::OrganizationId;

/// How many jobs of each organization are under way.
#[derive(Clone, Default)]
pub(crate) struct Shares(Arc<Mutex<BTreeMap<OrganizationId, u32>>>);

/// A job that is under way, until it is dropped.
pub(crate) struct UnderWay {
    shares: Shares,
    organization: OrganizationId,
}

impl Shares {
    pub(crate) fn begin(&self, organization: &OrganizationId) -> UnderWay {
        *self.counts().entry(organization.clone()).or_default() += 1;
        UnderWay { shares: self.clone(), organization: organization.clone() }
    }

    /// What is under way now.
    pub(crate) fn all(&self) -> BTreeMap<OrganizationId, u32> {
        self.counts().clone()
    }

    fn counts(&self) -> MutexGuard<'_, BTreeMap<OrganizationId, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut counts = self.shares.counts();
        if let Some(count) = counts.get_mut(&self.organization) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.organization);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ended_is_forgotten() {
        let shares = Shares::default();
        let acme = OrganizationId::parse("acme").expect("a name");
        let jobs = [shares.begin(&acme), shares.begin(&acme)];
        assert_eq!(shares.all(), BTreeMap::from([(acme, 2)]));
        drop(jobs);
        assert!(shares.all().is_empty());
    }
}
