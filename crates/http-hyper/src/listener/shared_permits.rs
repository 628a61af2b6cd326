//! Places that groups share, so that no group can take what another needs.
//!
//! A group gets one more place while it holds fewer than are free, and a member of it while it holds fewer
//! than its group could still get. So a group that is alone can hold half of all, and one member of it a
//! third; `n` groups that all want more end at one part in `n + 1` each, and one such part stays free for
//! whoever comes next (ADR 0027).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// A number of places.
#[derive(Debug)]
pub(crate) struct SharedPermits {
    capacity: usize,
    counts: Mutex<PermitCounts>,
}

/// Who holds a place: a member of a group, both by hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PermitHolder {
    pub(crate) group: u64,
    pub(crate) member: u64,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoPermit {
    /// The holder, or its group, has its share.
    Share,
    /// All places are taken.
    All,
}

/// A place, until dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    permits_pool: Arc<SharedPermits>,
    holder: PermitHolder,
}

#[derive(Debug, Default)]
struct PermitCounts {
    all: usize,
    groups: HashMap<u64, usize>,
    members: HashMap<u64, usize>,
}

impl SharedPermits {
    pub(crate) fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self { capacity, counts: Mutex::default() })
    }

    /// A place for this holder.
    ///
    /// # Errors
    /// When all places are taken, or as many as the holder may have.
    pub(crate) fn take(self: &Arc<Self>, holder: PermitHolder) -> Result<Permit, NoPermit> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let free = self.capacity.saturating_sub(counts.all);
        let group = counts.groups.get(&holder.group).copied().unwrap_or(0);
        let member = counts.members.get(&holder.member).copied().unwrap_or(0);
        if free == 0 {
            return Err(NoPermit::All);
        }
        if member >= free.saturating_sub(group) {
            return Err(NoPermit::Share);
        }
        counts.all += 1;
        counts.groups.insert(holder.group, group + 1);
        counts.members.insert(holder.member, member + 1);
        drop(counts);
        Ok(Permit { permits_pool: self.clone(), holder })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.permits_pool.counts.lock().unwrap_or_else(PoisonError::into_inner);
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

    /// Takes places until there are no more for this holder.
    fn fill(
        permits_pool: &Arc<SharedPermits>,
        holder: PermitHolder,
        into: &mut Vec<Permit>,
    ) -> (usize, NoPermit) {
        let before = into.len();
        loop {
            match permits_pool.take(holder) {
                Ok(permit) => into.push(permit),
                Err(full) => return (into.len() - before, full),
            }
        }
    }

    #[test]
    fn member_alone_holds_a_third_and_group_alone_half() {
        let (permits_pool, mut permits) = (SharedPermits::new(1_200), Vec::new());
        assert_eq!(fill(&permits_pool, holder(1, 1), &mut permits), (400, NoPermit::Share));
        for member in 2..20 {
            assert_eq!(fill(&permits_pool, holder(1, member), &mut permits).1, NoPermit::Share);
        }
        assert_eq!(permits.len(), 600);
        let (got, why) = fill(&permits_pool, holder(2, 1), &mut permits);
        assert!(got >= 200 && why == NoPermit::Share, "{got}");
    }

    #[test]
    fn released_permit_is_free() {
        let (permits_pool, mut permits) = (SharedPermits::new(3), Vec::new());
        assert_eq!(fill(&permits_pool, holder(1, 1), &mut permits), (1, NoPermit::Share));
        permits.clear();
        assert_eq!(fill(&permits_pool, holder(2, 2), &mut permits).0, 1);
        let counts = permits_pool.counts.lock().unwrap();
        assert_eq!((counts.all, counts.groups.len(), counts.members.len()), (1, 1, 1));
    }

    #[test]
    fn groups_that_want_all_end_with_equal_shares_and_leave_one() {
        let (permits_pool, mut permits) =
            (SharedPermits::new(1_000), HashMap::<u64, Vec<Permit>>::new());
        // Each in its turn gives one back and takes as many as it gets; as requests do.
        for turn in 0..10_000_u64 {
            let mine = permits.entry(turn % 4).or_default();
            mine.pop();
            for member in 0..5 {
                fill(&permits_pool, holder(turn % 4, member), mine);
            }
        }
        for mine in permits.values() {
            assert!((150..=260).contains(&mine.len()), "{}", mine.len());
        }
        assert!(permits_pool.take(holder(9, 0)).is_ok());
    }

    proptest! {
        #[test]
        fn group_without_places_gets_one_while_any_is_free(
            capacity in 1_usize..60,
            asked in prop::collection::vec((0_u64..5, 0_u64..3, any::<bool>()), 0..300),
        ) {
            let (permits_pool, mut permits) = (SharedPermits::new(capacity), Vec::new());
            for (group, member, gives_back) in asked {
                if gives_back && !permits.is_empty() {
                    permits.swap_remove(usize::try_from(member).unwrap() % permits.len());
                } else if let Ok(permit) = permits_pool.take(holder(group, member)) {
                    permits.push(permit);
                }
                prop_assert!(permits.len() <= capacity);
                let newcomer = permits_pool.take(holder(99, 0));
                prop_assert_eq!(newcomer.is_ok(), permits.len() < capacity);
            }
        }
    }
}
