//! Fair shares of the router's concurrent requests to receivers.
//!
//! Organizations get permits in turn. One organization never holds all of them, so that receivers
//! that hang delay their own organization alone.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use domain::{AttemptKind, OrganizationId};
use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Maximum number of concurrent requests.
const MAX_PERMITS: usize = 256;
/// Maximum number of concurrent retries and attempts of replays.
const MAX_REPEATS: usize = MAX_PERMITS / 4;
/// Maximum number of concurrent requests of an organization.
const MAX_OF_ORGANIZATION: usize = MAX_PERMITS / 4;
/// Number of requests that an organization may have in flight also when few permits remain.
const SMALL_SHARE: usize = 8;
/// Number of permits that are for organizations with a small share alone.
const RESERVED: usize = MAX_PERMITS / 8;

/// The permits of a router. Clones share their state.
#[derive(Clone, Default)]
pub(crate) struct Permits(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    in_use: usize,
    repeats: usize,
    organizations: HashMap<OrganizationId, OrganizationState>,
    /// Organizations with waiters, in turn.
    turns: VecDeque<OrganizationId>,
}

#[derive(Default)]
struct OrganizationState {
    in_use: usize,
    /// The waiters for first attempts and for repeats.
    waiting: [VecDeque<oneshot::Sender<()>>; 2],
}

/// A permit for one request.
pub(crate) struct Permit {
    permits: Permits,
    organization: OrganizationId,
    kind: AttemptKind,
}

/// A request for a permit. Dropping it gives up the place in the queue.
pub(crate) struct PermitRequest {
    granted: oneshot::Receiver<()>,
    /// `None` after the permit was taken.
    permit: Option<(Permits, OrganizationId)>,
    kind: AttemptKind,
}

const fn index(kind: AttemptKind) -> usize {
    match kind {
        AttemptKind::First => 0,
        AttemptKind::Repeat => 1,
    }
}

impl Permits {
    /// Requests a permit.
    pub(crate) fn request(
        &self,
        organization: &OrganizationId,
        kind: AttemptKind,
    ) -> PermitRequest {
        let (sender, granted) = oneshot::channel();
        let mut state = self.0.lock();
        let one = state.organizations.entry(organization.clone()).or_default();
        let was_waiting = one.waiting.iter().any(|queue| !queue.is_empty());
        one.waiting[index(kind)].push_back(sender);
        if !was_waiting {
            state.turns.push_back(organization.clone());
        }
        state.grant();
        drop(state);
        PermitRequest { granted, permit: Some((self.clone(), organization.clone())), kind }
    }

    /// Returns the number of permits in use.
    pub(crate) fn in_use(&self) -> usize {
        self.0.lock().in_use
    }

    fn release(&self, organization: &OrganizationId, kind: AttemptKind) {
        let mut state = self.0.lock();
        state.give_back(organization, kind);
        state.grant();
    }
}

impl State {
    fn may_take(&self, organization: &OrganizationState, kind: AttemptKind) -> bool {
        self.in_use < MAX_PERMITS
            && organization.in_use < MAX_OF_ORGANIZATION
            && (kind == AttemptKind::First || self.repeats < MAX_REPEATS)
            && (organization.in_use < SMALL_SHARE || self.in_use < MAX_PERMITS - RESERVED)
    }

    /// Grants permits in turn until no waiter can have one.
    fn grant(&mut self) {
        let mut refused = 0;
        while refused < self.turns.len() {
            let Some(organization) = self.turns.pop_front() else { return };
            if self.grant_one(&organization) {
                refused = 0;
            } else {
                refused += 1;
            }
            let one = self.organizations.get(&organization);
            if one.is_some_and(|one| one.waiting.iter().any(|queue| !queue.is_empty())) {
                self.turns.push_back(organization);
            } else {
                refused = 0;
                self.remove_unused(&organization);
            }
        }
    }

    /// Grants one permit to a waiter of an organization.
    fn grant_one(&mut self, organization: &OrganizationId) -> bool {
        for kind in [AttemptKind::First, AttemptKind::Repeat] {
            loop {
                let Some(one) = self.organizations.get(organization) else { return false };
                if !self.may_take(one, kind) {
                    break;
                }
                let one = self.organizations.get_mut(organization);
                let waiter = one.and_then(|one| one.waiting[index(kind)].pop_front());
                let Some(waiter) = waiter else { break };
                // Fails if the waiter gave up.
                if waiter.send(()).is_ok() {
                    self.take(organization, kind);
                    return true;
                }
            }
        }
        false
    }

    fn take(&mut self, organization: &OrganizationId, kind: AttemptKind) {
        self.in_use += 1;
        self.repeats += usize::from(kind == AttemptKind::Repeat);
        if let Some(one) = self.organizations.get_mut(organization) {
            one.in_use += 1;
        }
    }

    fn give_back(&mut self, organization: &OrganizationId, kind: AttemptKind) {
        self.in_use -= 1;
        self.repeats -= usize::from(kind == AttemptKind::Repeat);
        if let Some(one) = self.organizations.get_mut(organization) {
            one.in_use -= 1;
        }
        self.remove_unused(organization);
    }

    fn remove_unused(&mut self, organization: &OrganizationId) {
        let is_unused =
            |one: &OrganizationState| one.in_use == 0 && one.waiting.iter().all(VecDeque::is_empty);
        if self.organizations.get(organization).is_some_and(is_unused) {
            self.organizations.remove(organization);
        }
    }
}

impl PermitRequest {
    /// Waits for the permit. Cancel safe.
    pub(crate) async fn granted(&mut self) -> Permit {
        if (&mut self.granted).await.is_ok()
            && let Some((permits, organization)) = self.permit.take()
        {
            return Permit { permits, organization, kind: self.kind };
        }
        // The sender is dropped only with a permit.
        std::future::pending().await
    }
}

impl Drop for PermitRequest {
    fn drop(&mut self) {
        self.granted.close();
        // The permit may have been granted before.
        if let Some((permits, organization)) = self.permit.take()
            && self.granted.try_recv().is_ok()
        {
            permits.release(&organization, self.kind);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.permits.release(&self.organization, self.kind);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn organization(name: &str) -> OrganizationId {
        OrganizationId::parse(name).unwrap()
    }

    /// Takes up to `count` permits of an organization without waiting.
    fn take(permits: &Permits, name: &str, kind: AttemptKind, count: usize) -> Vec<Permit> {
        let one = || permits.request(&organization(name), kind).granted().now_or_never();
        (0..count).map_while(|_| one()).collect()
    }

    #[test]
    fn one_organization_never_holds_the_last_permits() {
        let permits = Permits::default();
        let first = take(&permits, "a", AttemptKind::First, MAX_PERMITS);
        assert_eq!(first.len(), MAX_OF_ORGANIZATION);
        let all: Vec<_> = ["b", "c", "d"]
            .map(|name| take(&permits, name, AttemptKind::First, MAX_PERMITS))
            .into_iter()
            .flatten()
            .collect();
        assert_eq!(permits.in_use(), MAX_PERMITS - RESERVED);
        let others: Vec<_> = ["e", "f", "g", "h", "i"]
            .map(|name| take(&permits, name, AttemptKind::First, MAX_PERMITS).len())
            .into();
        assert_eq!(others, [SMALL_SHARE; 5], "each was given back at once");
        let small: Vec<_> =
            ["e", "f", "g", "h"].map(|name| take(&permits, name, AttemptKind::First, 99)).into();
        assert_eq!(permits.in_use(), MAX_PERMITS);
        drop((first, all, small));
        assert_eq!(permits.in_use(), 0);
        assert!(permits.0.lock().organizations.is_empty());
    }

    #[test]
    fn repeats_leave_permits_for_first_attempts() {
        let permits = Permits::default();
        let repeats: Vec<_> = ["a", "b"]
            .map(|name| take(&permits, name, AttemptKind::Repeat, MAX_PERMITS))
            .into_iter()
            .flatten()
            .collect();
        assert_eq!(repeats.len(), MAX_REPEATS);
        assert_eq!(take(&permits, "b", AttemptKind::First, 8).len(), 8);
    }

    #[test]
    fn permits_are_granted_in_turn() {
        let permits = Permits::default();
        let held: Vec<_> = ["w", "x", "y", "z"]
            .map(|name| take(&permits, name, AttemptKind::First, MAX_PERMITS))
            .into_iter()
            .flatten()
            .collect();
        let rest: Vec<_> = ["s", "t", "u", "v"]
            .map(|name| take(&permits, name, AttemptKind::First, 8))
            .into_iter()
            .flatten()
            .collect();
        assert_eq!(permits.in_use(), MAX_PERMITS);
        let mut waiting: Vec<_> = ["a", "a", "a", "b", "c"]
            .map(|name| (name, permits.request(&organization(name), AttemptKind::First)))
            .into();
        let mut order = Vec::new();
        for permit in rest {
            drop(permit);
            let granted = waiting.iter_mut().position(|(_, one)| one.granted.try_recv().is_ok());
            order.push(granted.map(|at| waiting[at].0));
            if let Some(at) = granted {
                waiting.remove(at);
            }
            if waiting.is_empty() {
                break;
            }
        }
        assert_eq!(order.into_iter().flatten().collect::<Vec<_>>(), ["a", "b", "c", "a", "a"]);
        drop(held);
    }

    #[test]
    fn abandoned_request_gives_its_permit_back() {
        let permits = Permits::default();
        drop(permits.request(&organization("a"), AttemptKind::First));
        assert_eq!(permits.in_use(), 0);
        let held = take(&permits, "a", AttemptKind::First, MAX_PERMITS);
        let abandoned = permits.request(&organization("a"), AttemptKind::First);
        let mut next = permits.request(&organization("a"), AttemptKind::First);
        drop(abandoned);
        assert!(next.granted().now_or_never().is_none());
        drop(held);
        assert!(next.granted().now_or_never().is_some());
    }
}
