//! A limited number of permits, shared fairly between groups of sessions. A free permit goes to the
//! waiting group with the fewest permits; groups with equal numbers are served round robin.
//!
//! Decision: ADR 0026.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

/// The group of a session: the tag that the router sent. Sessions without a tag form one group.
pub(crate) type Group = Option<Arc<str>>;

/// A pool of `limit` permits, and of `reserve` more for groups that hold none. Clones share the
/// pool.
#[derive(Clone, Debug)]
pub(crate) struct FairPermits(Arc<Mutex<PermitState>>);

#[derive(Debug)]
struct PermitState {
    /// Permits that any group may take.
    limit: usize,
    /// Additional permits for groups that hold none, so that such a group does not wait for a group
    /// that holds all others.
    reserve: usize,
    granted: usize,
    granted_by_group: HashMap<Group, usize>,
    /// The group that received the newest permit; of groups with equal numbers, another one is
    /// served first.
    last_group: Group,
    /// The waiting groups; the group that was served longest ago is the first.
    waiting: VecDeque<(Group, VecDeque<oneshot::Sender<FairPermit>>)>,
}

/// A permit; dropping the value returns it to the pool.
#[derive(Debug)]
pub(crate) struct FairPermit {
    permits: FairPermits,
    group: Group,
}

impl FairPermits {
    pub(crate) fn new(limit: usize, reserve: usize) -> Self {
        let state = PermitState {
            limit,
            reserve,
            granted: 0,
            granted_by_group: HashMap::new(),
            last_group: None,
            waiting: VecDeque::new(),
        };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Takes a permit; `None` if none is free.
    pub(crate) fn try_acquire(&self, group: &Group) -> Option<FairPermit> {
        let mut state = self.lock();
        if !state.has_capacity_for(group) {
            return None;
        }
        state.record_grant(group);
        Some(FairPermit { permits: self.clone(), group: group.clone() })
    }

    /// Waits for a permit and takes it.
    pub(crate) async fn acquire(&self, group: &Group) -> FairPermit {
        loop {
            let grant = {
                let mut state = self.lock();
                if state.has_capacity_for(group) {
                    state.record_grant(group);
                    return FairPermit { permits: self.clone(), group: group.clone() };
                }
                let (sender, grant) = oneshot::channel();
                state.enqueue(group, sender);
                grant
            };
            // The receiver fails only if the sender was dropped without a permit; then the group
            // queues again.
            if let Ok(permit) = grant.await {
                return permit;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, PermitState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives free permits to waiting groups.
    fn grant_waiting(&self) {
        loop {
            let (group, sender) = {
                let mut state = self.lock();
                let Some((group, sender)) = state.next_waiter() else { return };
                state.record_grant(&group);
                (group, sender)
            };
            // Outside the lock: if the waiter has gone, the permit is dropped here and granted to
            // the next waiter.
            let _ = sender.send(FairPermit { permits: self.clone(), group });
        }
    }
}

impl PermitState {
    fn has_capacity_for(&self, group: &Group) -> bool {
        let limit = if self.granted_by_group.contains_key(group) {
            self.limit
        } else {
            self.limit + self.reserve
        };
        self.granted < limit
    }

    fn record_grant(&mut self, group: &Group) {
        self.granted += 1;
        self.last_group.clone_from(group);
        *self.granted_by_group.entry(group.clone()).or_default() += 1;
    }

    fn enqueue(&mut self, group: &Group, sender: oneshot::Sender<FairPermit>) {
        match self.waiting.iter_mut().find(|(waiting, _)| waiting == group) {
            Some((_, queue)) => queue.push_back(sender),
            None => self.waiting.push_back((group.clone(), [sender].into())),
        }
    }

    /// Removes and returns the next waiter that may have a permit: of the waiting groups, the one
    /// with the fewest permits; of equals, the one that was served longest ago.
    fn next_waiter(&mut self) -> Option<(Group, oneshot::Sender<FairPermit>)> {
        for (_, queue) in &mut self.waiting {
            queue.retain(|sender| !sender.is_closed());
        }
        self.waiting.retain(|(_, queue)| !queue.is_empty());
        let granted = |group: &Group| self.granted_by_group.get(group).copied().unwrap_or_default();
        let waiting =
            self.waiting.iter().enumerate().filter(|(_, (group, _))| self.has_capacity_for(group));
        let (index, _) =
            waiting.min_by_key(|(_, (group, _))| (granted(group), *group == self.last_group))?;
        let (group, mut queue) = self.waiting.remove(index)?;
        let sender = queue.pop_front()?;
        if !queue.is_empty() {
            self.waiting.push_back((group.clone(), queue));
        }
        Some((group, sender))
    }
}

impl Drop for FairPermit {
    fn drop(&mut self) {
        {
            let mut state = self.permits.lock();
            state.granted = state.granted.saturating_sub(1);
            if let Some(granted) = state.granted_by_group.get_mut(&self.group) {
                *granted -= 1;
                if *granted == 0 {
                    state.granted_by_group.remove(&self.group);
                }
            }
        }
        self.permits.grant_waiting();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    fn groups<const N: usize>(names: [&str; N]) -> [Group; N] {
        names.map(|name| Some(name.into()))
    }

    #[tokio::test]
    async fn group_without_a_permit_uses_the_reserve() {
        let permits = FairPermits::new(2, 1);
        let [greedy, modest, late] = groups(["greedy", "modest", "late"]);
        let held = [permits.try_acquire(&greedy).unwrap(), permits.try_acquire(&greedy).unwrap()];
        assert!(permits.try_acquire(&greedy).is_none());
        let _modest = permits.try_acquire(&modest).unwrap();
        assert!(
            permits.try_acquire(&modest).is_none(),
            "the reserve serves only the first permit of a group"
        );
        assert!(permits.try_acquire(&late).is_none(), "the reserve is bounded");
        drop(held);
        assert!(permits.try_acquire(&late).is_some());
    }

    #[tokio::test]
    async fn waiters_are_served_round_robin_over_groups() {
        let permits = FairPermits::new(1, 0);
        let [greedy, modest] = groups(["greedy", "modest"]);
        let first = permits.acquire(&greedy).await;
        let mut greedy_waits: Vec<_> = (0..3).map(|_| Box::pin(permits.acquire(&greedy))).collect();
        for waiting in &mut greedy_waits {
            assert!(waiting.as_mut().now_or_never().is_none());
        }
        let mut modest_waits = Box::pin(permits.acquire(&modest));
        assert!(modest_waits.as_mut().now_or_never().is_none());
        drop(first);
        let second = modest_waits.as_mut().now_or_never().unwrap();
        assert!(greedy_waits[0].as_mut().now_or_never().is_none());
        drop(second);
        assert!(greedy_waits[0].as_mut().now_or_never().is_some());
    }

    #[tokio::test]
    async fn permit_of_a_dropped_waiter_goes_to_the_next() {
        let permits = FairPermits::new(1, 0);
        let first = permits.acquire(&None).await;
        let mut gone = Box::pin(permits.acquire(&None));
        assert!(gone.as_mut().now_or_never().is_none());
        let mut next = Box::pin(permits.acquire(&None));
        assert!(next.as_mut().now_or_never().is_none());
        drop(gone);
        drop(first);
        assert!(next.as_mut().now_or_never().is_some());
        assert!(permits.lock().granted_by_group.is_empty() || permits.lock().granted == 0);
    }
}
