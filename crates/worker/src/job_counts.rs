//! [`JobCounts`]: the number of in-flight jobs of each organization, so that one organization
//! cannot take all job permits.
//!
//! Decision: ADR 0030.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use domain::OrganizationId;

/// The number of in-flight jobs of each organization; organizations without jobs are absent.
#[derive(Clone, Default)]
pub(crate) struct JobCounts(Arc<Mutex<BTreeMap<OrganizationId, u32>>>);

/// Counts one job as in-flight until dropped.
pub(crate) struct JobGuard {
    counts: JobCounts,
    organization: OrganizationId,
}

impl JobCounts {
    pub(crate) fn start(&self, organization: &OrganizationId) -> JobGuard {
        *self.lock().entry(organization.clone()).or_default() += 1;
        JobGuard { counts: self.clone(), organization: organization.clone() }
    }

    /// Returns a copy of the current counts.
    pub(crate) fn all(&self) -> BTreeMap<OrganizationId, u32> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<OrganizationId, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for JobGuard {
    fn drop(&mut self) {
        let mut counts = self.counts.lock();
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
    fn finished_jobs_are_not_counted() {
        let counts = JobCounts::default();
        let acme = OrganizationId::parse("acme").expect("a valid organization id");
        let jobs = [counts.start(&acme), counts.start(&acme)];
        assert_eq!(counts.all(), BTreeMap::from([(acme, 2)]));
        drop(jobs);
        assert!(counts.all().is_empty());
    }
}
