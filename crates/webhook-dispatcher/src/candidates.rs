//! Webhooks whose leases the dispatcher will claim.

use std::collections::{BTreeSet, HashMap};

use domain::{Timestamp, WebhookKey};

/// Webhooks to claim, and those that are not to be claimed for some time.
#[derive(Default)]
pub(crate) struct Candidates {
    pending: BTreeSet<WebhookKey>,
    /// Webhooks that new events do not make candidates before a time: another router has the lease,
    /// or the receiver does not work. Then they are claimed in any case: the other router may have
    /// stopped.
    deferred: HashMap<WebhookKey, Timestamp>,
}

impl Candidates {
    /// Adds a webhook with new events.
    pub(crate) fn add_active(&mut self, key: WebhookKey) {
        if !self.deferred.contains_key(&key) {
            self.pending.insert(key);
        }
    }

    /// Adds a webhook that is due, or that its owner changed.
    pub(crate) fn add(&mut self, key: WebhookKey) {
        self.deferred.remove(&key);
        self.pending.insert(key);
    }

    /// Claims a webhook at a time, and not before for new events.
    pub(crate) fn defer(&mut self, key: WebhookKey, until: Timestamp) {
        self.deferred.insert(key, until);
    }

    /// Adds the webhooks whose time has come.
    pub(crate) fn end_deferrals(&mut self, now: Timestamp) {
        for (key, _) in self.deferred.extract_if(|_, until| *until <= now) {
            self.pending.insert(key);
        }
    }

    /// Takes up to `limit` webhooks that are not in `running`; removes those that are.
    pub(crate) fn take(
        &mut self,
        limit: usize,
        is_running: impl Fn(&WebhookKey) -> bool,
    ) -> Vec<WebhookKey> {
        self.pending.retain(|key| !is_running(key));
        let taken: Vec<_> = self.pending.iter().take(limit).cloned().collect();
        self.pending.retain(|key| !taken.contains(key));
        taken
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use domain::{OrganizationId, WebhookId};

    use super::*;

    fn key(number: u128) -> WebhookKey {
        let organization = OrganizationId::parse("acme").unwrap();
        WebhookKey { organization, webhook: WebhookId::from_bits(number) }
    }

    #[test]
    fn deferred_webhook_is_claimed_when_its_time_comes_or_its_owner_changes_it() {
        let at = Timestamp::from_millis;
        let mut candidates = Candidates::default();
        candidates.defer(key(1), at(9));
        candidates.defer(key(2), at(9));
        (1..=3).for_each(|number| candidates.add_active(key(number)));
        candidates.add(key(2));
        assert_eq!(candidates.take(9, |_| false), [key(2), key(3)]);
        candidates.end_deferrals(at(8));
        assert!(candidates.is_empty());
        candidates.end_deferrals(at(9));
        candidates.add_active(key(4));
        assert_eq!(candidates.take(1, |one| *one == key(5)), [key(1)]);
        assert_eq!(candidates.take(9, |one| *one == key(4)), []);
        assert!(candidates.is_empty());
    }
}
