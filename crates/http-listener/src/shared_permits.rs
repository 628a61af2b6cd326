//! Permits that groups share, so that no group can take the permits that another group needs.
//!
//! A group gets one more permit while it holds fewer than are free, and a member of it while it
//! holds fewer than its group could still get. A single group can therefore hold half of all
//! permits, and a single member of it a third. `n` groups that all want more end at one part in
//! `n + 1` each, and one such part stays free for the next group.
//!
//! Decision: ADR 0027.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// A fixed number of permits.
#[derive(Debug)]
pub(crate) struct SharedPermits {
    capacity: usize,
    limits: ShareLimits,
    counts: Mutex<PermitCounts>,
}

/// Numbers of permits that a group and a member hold at most, whatever is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ShareLimits {
    pub(crate) group: usize,
    pub(crate) member: usize,
}

impl ShareLimits {
    /// The shares depend on the free permits alone.
    pub(crate) const NONE: Self = Self { group: usize::MAX, member: usize::MAX };
}

/// The holder of a permit: a member of a group, each identified by a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PermitHolder {
    /// The group, such as an organization.
    pub group: u64,
    /// The member, such as a credential of the organization.
    pub member: u64,
}

/// The reason why no permit is available.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPermit {
    /// The holder, or its group, has its share.
    #[error("the share of the holder or its group is taken")]
    ShareTaken,
    /// All permits are taken.
    #[error("all permits are taken")]
    AllTaken,
}

/// One permit; dropping it releases the permit.
#[derive(Debug)]
pub struct Permit {
    pool: Arc<SharedPermits>,
    holder: PermitHolder,
}

#[derive(Debug, Default)]
struct PermitCounts {
    all: usize,
    groups: HashMap<u64, usize>,
    members: HashMap<u64, usize>,
}

impl SharedPermits {
    pub(crate) fn new(capacity: usize, limits: ShareLimits) -> Arc<Self> {
        Arc::new(Self { capacity, limits, counts: Mutex::default() })
    }

    /// Takes a permit for `holder`.
    ///
    /// # Errors
    /// All permits are taken, or the holder or its group has its share.
    pub(crate) fn take(self: &Arc<Self>, holder: PermitHolder) -> Result<Permit, NoPermit> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let free = self.capacity.saturating_sub(counts.all);
        let group = counts.groups.get(&holder.group).copied().unwrap_or(0);
        let member = counts.members.get(&holder.member).copied().unwrap_or(0);
        if free == 0 {
            return Err(NoPermit::AllTaken);
        }
        let limited = group >= self.limits.group || member >= self.limits.member;
        if limited || member >= free.saturating_sub(group) {
            return Err(NoPermit::ShareTaken);
        }
        counts.all += 1;
        counts.groups.insert(holder.group, group + 1);
        counts.members.insert(holder.member, member + 1);
        drop(counts);
        Ok(Permit { pool: self.clone(), holder })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.pool.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.all = counts.all.saturating_sub(1);
        decrement(&mut counts.groups, self.holder.group);
        decrement(&mut counts.members, self.holder.member);
    }
}

fn decrement(counts: &mut HashMap<u64, usize>, key: u64) {
    match counts.get_mut(&key) {
        Some(count) if *count > 1 => *count -= 1,
        _ => {
            counts.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn holder(group: u64, member: u64) -> PermitHolder {
        PermitHolder { group, member: group * 1_000 + member }
    }

    /// Takes permits for `holder` until there are no more; returns their number and the reason.
    fn fill(
        pool: &Arc<SharedPermits>,
        holder: PermitHolder,
        into: &mut Vec<Permit>,
    ) -> (usize, NoPermit) {
        let before = into.len();
        loop {
            match pool.take(holder) {
                Ok(permit) => into.push(permit),
                Err(full) => return (into.len() - before, full),
            }
        }
    }

    #[test]
    fn single_member_holds_a_third_and_single_group_half() {
        let (pool, mut permits) = (SharedPermits::new(1_200, ShareLimits::NONE), Vec::new());
        assert_eq!(fill(&pool, holder(1, 1), &mut permits), (400, NoPermit::ShareTaken));
        for member in 2..20 {
            assert_eq!(fill(&pool, holder(1, member), &mut permits).1, NoPermit::ShareTaken);
        }
        assert_eq!(permits.len(), 600);
        let (got, why) = fill(&pool, holder(2, 1), &mut permits);
        assert!(got >= 200 && why == NoPermit::ShareTaken, "{got}");
    }

    #[test]
    fn limits_apply_while_permits_are_free() {
        let limits = ShareLimits { group: 7, member: 3 };
        let (pool, mut permits) = (SharedPermits::new(1_000, limits), Vec::new());
        for (member, count) in [(1, 3), (2, 3), (3, 1), (4, 0)] {
            let filled = fill(&pool, holder(1, member), &mut permits);
            assert_eq!(filled, (count, NoPermit::ShareTaken), "{member}");
        }
        permits.truncate(1);
        assert_eq!(fill(&pool, holder(1, 1), &mut permits).0, 2);
    }

    #[test]
    fn released_permit_is_free() {
        let (pool, mut permits) = (SharedPermits::new(3, ShareLimits::NONE), Vec::new());
        assert_eq!(fill(&pool, holder(1, 1), &mut permits), (1, NoPermit::ShareTaken));
        permits.clear();
        assert_eq!(fill(&pool, holder(2, 2), &mut permits).0, 1);
        let counts = pool.counts.lock().unwrap();
        assert_eq!((counts.all, counts.groups.len(), counts.members.len()), (1, 1, 1));
    }

    #[test]
    fn competing_groups_get_equal_shares_and_leave_one() {
        let (pool, mut permits) =
            (SharedPermits::new(1_000, ShareLimits::NONE), HashMap::<u64, Vec<Permit>>::new());
        // In its turn each group releases one permit and takes as many as it gets.
        for turn in 0..10_000_u64 {
            let mine = permits.entry(turn % 4).or_default();
            mine.pop();
            for member in 0..5 {
                fill(&pool, holder(turn % 4, member), mine);
            }
        }
        for mine in permits.values() {
            assert!((150..=260).contains(&mine.len()), "{}", mine.len());
        }
        assert!(pool.take(holder(9, 0)).is_ok());
    }

    proptest! {
        #[test]
        fn group_without_permits_gets_one_while_any_is_free(
            capacity in 1_usize..60,
            asked in prop::collection::vec((0_u64..5, 0_u64..3, any::<bool>()), 0..300),
        ) {
            let (pool, mut permits) = (SharedPermits::new(capacity, ShareLimits::NONE), Vec::new());
            for (group, member, gives_back) in asked {
                if gives_back && !permits.is_empty() {
                    permits.swap_remove(usize::try_from(member).unwrap() % permits.len());
                } else if let Ok(permit) = pool.take(holder(group, member)) {
                    permits.push(permit);
                }
                prop_assert!(permits.len() <= capacity);
                let newcomer = pool.take(holder(99, 0));
                prop_assert_eq!(newcomer.is_ok(), permits.len() < capacity);
            }
        }
    }
}
