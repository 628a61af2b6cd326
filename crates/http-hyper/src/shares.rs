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
pub(crate) struct Shares {
    capacity: usize,
    held: Mutex<Held>,
}

/// Who holds a place: a member of a group, both by hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) group: u64,
    pub(crate) member: u64,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// The holder, or its group, has its share.
    Share,
    /// All places are taken.
    All,
}

/// A place, until dropped.
#[derive(Debug)]
pub(crate) struct Place {
    shares: Arc<Shares>,
    holder: Holder,
}

#[derive(Debug, Default)]
struct Held {
    all: usize,
    groups: HashMap<u64, usize>,
    members: HashMap<u64, usize>,
}

impl Shares {
    pub(crate) fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self { capacity, held: Mutex::default() })
    }

    /// A place for this holder.
    ///
    /// # Errors
    /// When all places are taken, or as many as the holder may have.
    pub(crate) fn take(self: &Arc<Self>, holder: Holder) -> Result<Place, Full> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let free = self.capacity.saturating_sub(held.all);
        let group = held.groups.get(&holder.group).copied().unwrap_or(0);
        let member = held.members.get(&holder.member).copied().unwrap_or(0);
        if free == 0 {
            return Err(Full::All);
        }
        if member >= free.saturating_sub(group) {
            return Err(Full::Share);
        }
        held.all += 1;
        held.groups.insert(holder.group, group + 1);
        held.members.insert(holder.member, member + 1);
        drop(held);
        Ok(Place { shares: self.clone(), holder })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.shares.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.all = held.all.saturating_sub(1);
        give_back(&mut held.groups, self.holder.group);
        give_back(&mut held.members, self.holder.member);
    }
}

fn give_back(counts: &mut HashMap<u64, usize>, key: u64) {
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

    fn holder(group: u64, member: u64) -> Holder {
        Holder { group, member: group * 1_000 + member }
    }

    /// Takes places until there are no more for this holder.
    fn fill(shares: &Arc<Shares>, holder: Holder, into: &mut Vec<Place>) -> (usize, Full) {
        let before = into.len();
        loop {
            match shares.take(holder) {
                Ok(place) => into.push(place),
                Err(full) => return (into.len() - before, full),
            }
        }
    }

    #[test]
    fn member_alone_holds_a_third_and_group_alone_half() {
        let (shares, mut places) = (Shares::new(1_200), Vec::new());
        assert_eq!(fill(&shares, holder(1, 1), &mut places), (400, Full::Share));
        for member in 2..20 {
            assert_eq!(fill(&shares, holder(1, member), &mut places).1, Full::Share);
        }
        assert_eq!(places.len(), 600);
        let (got, why) = fill(&shares, holder(2, 1), &mut places);
        assert!(got >= 200 && why == Full::Share, "{got}");
    }

    #[test]
    fn place_that_is_given_back_is_free() {
        let (shares, mut places) = (Shares::new(3), Vec::new());
        assert_eq!(fill(&shares, holder(1, 1), &mut places), (1, Full::Share));
        places.clear();
        assert_eq!(fill(&shares, holder(2, 2), &mut places).0, 1);
        let held = shares.held.lock().unwrap();
        assert_eq!((held.all, held.groups.len(), held.members.len()), (1, 1, 1));
    }

    #[test]
    fn groups_that_want_all_end_with_equal_shares_and_leave_one() {
        let (shares, mut places) = (Shares::new(1_000), HashMap::<u64, Vec<Place>>::new());
        // Each in its turn gives one back and takes as many as it gets; as requests do.
        for turn in 0..10_000_u64 {
            let mine = places.entry(turn % 4).or_default();
            mine.pop();
            for member in 0..5 {
                fill(&shares, holder(turn % 4, member), mine);
            }
        }
        for mine in places.values() {
            assert!((150..=260).contains(&mine.len()), "{}", mine.len());
        }
        assert!(shares.take(holder(9, 0)).is_ok());
    }

    proptest! {
        #[test]
        fn group_without_places_gets_one_while_any_is_free(
            capacity in 1_usize..60,
            asked in prop::collection::vec((0_u64..5, 0_u64..3, any::<bool>()), 0..300),
        ) {
            let (shares, mut places) = (Shares::new(capacity), Vec::new());
            for (group, member, gives_back) in asked {
                if gives_back && !places.is_empty() {
                    places.swap_remove(usize::try_from(member).unwrap() % places.len());
                } else if let Ok(place) = shares.take(holder(group, member)) {
                    places.push(place);
                }
                prop_assert!(places.len() <= capacity);
                let newcomer = shares.take(holder(99, 0));
                prop_assert_eq!(newcomer.is_ok(), places.len() < capacity);
            }
        }
    }
}
