//! The space that items take, in total and for each group.

use std::collections::HashMap;

use super::item::Row;
use crate::fair_permits::Group;

/// Items and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) items: u64,
    pub(super) bytes: u64,
}

/// The bounds of a journal. One group takes a quarter at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JournalLimits {
    pub(crate) items: u64,
    pub(crate) bytes: u64,
}

impl Default for JournalLimits {
    fn default() -> Self {
        Self { items: 100_000, bytes: 64 << 20 }
    }
}

/// The space in use, with what is reserved for writes in progress.
#[derive(Debug)]
pub(super) struct Usage {
    limits: JournalLimits,
    total: Amount,
    by_group: HashMap<Group, Amount>,
}

impl Amount {
    pub(super) fn of(rows: &[Row]) -> Self {
        Self { items: rows.len() as u64, bytes: rows.iter().map(Row::size).sum() }
    }

    fn plus(self, other: Self) -> Self {
        Self { items: self.items + other.items, bytes: self.bytes + other.bytes }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            items: self.items.saturating_sub(other.items),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }

    fn is_within(self, limits: JournalLimits) -> bool {
        self.items <= limits.items && self.bytes <= limits.bytes
    }
}

impl JournalLimits {
    /// The share of one group.
    fn share(self) -> Self {
        Self { items: self.items / 4, bytes: self.bytes / 4 }
    }

    /// The limits with the reserve for receipts.
    fn with_reserve(self) -> Self {
        Self { items: self.items + self.items / 4, bytes: self.bytes + self.bytes / 4 }
    }
}

impl Usage {
    pub(super) fn new(limits: JournalLimits) -> Self {
        Self { limits, total: Amount::default(), by_group: HashMap::new() }
    }

    pub(super) fn total(&self) -> Amount {
        self.total
    }

    /// Takes the space if it is free. A group without items may take more than its share, so that no
    /// append waits for ever.
    pub(super) fn reserve(&mut self, group: &Group, amount: Amount) -> bool {
        let used = self.of(group);
        let alone = used.items == 0;
        let fits_share = alone || used.plus(amount).is_within(self.limits.share());
        let fits =
            fits_share && (self.total.items == 0 || self.total.plus(amount).is_within(self.limits));
        if fits {
            self.add(group, amount);
        }
        fits
    }

    /// Returns whether the space is free within the limits and their reserve.
    pub(super) fn fits_reserve(&self, group: &Group, amount: Amount) -> bool {
        self.of(group).plus(amount).is_within(self.limits.share().with_reserve())
            && self.total.plus(amount).is_within(self.limits.with_reserve())
    }

    pub(super) fn add(&mut self, group: &Group, amount: Amount) {
        self.total = self.total.plus(amount);
        let used = self.by_group.entry(group.clone()).or_default();
        *used = used.plus(amount);
    }

    pub(super) fn remove(&mut self, group: &Group, amount: Amount) {
        self.total = self.total.minus(amount);
        if let Some(used) = self.by_group.get_mut(group) {
            *used = used.minus(amount);
            if *used == Amount::default() {
                self.by_group.remove(group);
            }
        }
    }

    fn of(&self, group: &Group) -> Amount {
        self.by_group.get(group).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(items: u64, bytes: u64) -> Amount {
        Amount { items, bytes }
    }

    #[test]
    fn group_takes_a_quarter_and_all_groups_the_whole() {
        let mut usage = Usage::new(JournalLimits { items: 40, bytes: 4_000 });
        let groups: Vec<Group> = ["a", "b", "c", "d", "e"].map(|name| Some(name.into())).into();
        for group in &groups[..4] {
            assert!(usage.reserve(group, amount(10, 10)));
            assert!(!usage.reserve(group, amount(1, 1)), "a quarter is the limit of a group");
        }
        assert!(!usage.reserve(&groups[4], amount(1, 1)), "the journal is full");
        usage.remove(&groups[0], amount(1, 1));
        assert!(usage.reserve(&groups[4], amount(1, 1)));
        assert_eq!(usage.total(), amount(40, 40));
    }

    #[test]
    fn bytes_are_limited_like_items_and_an_empty_journal_takes_any_append() {
        let mut usage = Usage::new(JournalLimits { items: 40, bytes: 4_000 });
        assert!(usage.reserve(&None, amount(1, 9_000)), "more than the whole journal");
        assert!(!usage.reserve(&None, amount(1, 1)));
        usage.remove(&None, amount(1, 9_000));
        assert!(usage.reserve(&None, amount(1, 1_000)));
        assert!(!usage.reserve(&None, amount(1, 1)));
    }

    #[test]
    fn receipts_have_a_reserve_beyond_the_limits() {
        let mut usage = Usage::new(JournalLimits { items: 40, bytes: 4_000 });
        usage.add(&None, amount(10, 1_000));
        assert!(usage.fits_reserve(&None, amount(2, 250)));
        assert!(!usage.fits_reserve(&None, amount(3, 1)));
        assert!(!usage.fits_reserve(&None, amount(1, 251)));
    }
}
