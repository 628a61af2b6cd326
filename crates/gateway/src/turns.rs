//! Turns at something that only so many may do at once, shared fairly between groups of sessions: who
//! waits is served round robin over groups, and whose group has the fewest turns is served first.
//!
//! Decision: ADR 0026.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

/// What sessions are told apart by, here; `None` is a group, too.
pub(crate) type Group = Option<Arc<str>>;

/// So many turns, and so many more for groups that have none.
#[derive(Clone, Debug)]
pub(crate) struct Turns(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// How many there are.
    count: usize,
    /// How many there are besides, for groups that have no turn: one of them never waits for another
    /// that holds everything.
    reserve: usize,
    taken: usize,
    held: HashMap<Group, usize>,
    /// Whose turn was the last: of others that have as few, one is served first.
    last: Group,
    /// Groups that wait, the one that was served longest ago first.
    waiting: VecDeque<(Group, VecDeque<oneshot::Sender<Turn>>)>,
}

/// A turn; it is over when this is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    turns: Turns,
    group: Group,
}

impl Turns {
    pub(crate) fn new(count: usize, reserve: usize) -> Self {
        let (held, waiting) = (HashMap::new(), VecDeque::new());
        let state = State { count, reserve, taken: 0, held, last: None, waiting };
        Self(Arc::new(Mutex::new(state)))
    }

    /// A turn, if there is one now.
    pub(crate) fn try_take(&self, group: &Group) -> Option<Turn> {
        let mut state = self.lock();
        if !state.has_room_for(group) {
            return None;
        }
        state.count_one(group);
        Some(Turn { turns: self.clone(), group: group.clone() })
    }

    /// A turn, once there is one.
    pub(crate) async fn take(&self, group: &Group) -> Turn {
        loop {
            let comes = {
                let mut state = self.lock();
                if state.has_room_for(group) {
                    state.count_one(group);
                    return Turn { turns: self.clone(), group: group.clone() };
                }
                let (sender, comes) = oneshot::channel();
                state.queue(group, sender);
                comes
            };
            // Whoever hands turns on lives as long as these turns do.
            if let Ok(turn) = comes.await {
                return turn;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives free turns to those that wait.
    fn hand_on(&self) {
        loop {
            let (group, sender) = {
                let mut state = self.lock();
                let Some((group, sender)) = state.next() else { return };
                state.count_one(&group);
                (group, sender)
            };
            // Not under the lock: a turn that nobody waits for any more is dropped, and handed on.
            let _ = sender.send(Turn { turns: self.clone(), group });
        }
    }
}

impl State {
    fn has_room_for(&self, group: &Group) -> bool {
        let most =
            if self.held.contains_key(group) { self.count } else { self.count + self.reserve };
        self.taken < most
    }

    fn count_one(&mut self, group: &Group) {
        self.taken += 1;
        self.last.clone_from(group);
        *self.held.entry(group.clone()).or_default() += 1;
    }

    fn queue(&mut self, group: &Group, sender: oneshot::Sender<Turn>) {
        match self.waiting.iter_mut().find(|(waiting, _)| waiting == group) {
            Some((_, queue)) => queue.push_back(sender),
            None => self.waiting.push_back((group.clone(), [sender].into())),
        }
    }

    /// Whose turn is next, if one is free: of the groups that wait, the one with the fewest turns, and
    /// of equals the one that was served longest ago.
    fn next(&mut self) -> Option<(Group, oneshot::Sender<Turn>)> {
        for (_, queue) in &mut self.waiting {
            queue.retain(|sender| !sender.is_closed());
        }
        self.waiting.retain(|(_, queue)| !queue.is_empty());
        let held = |group: &Group| self.held.get(group).copied().unwrap_or_default();
        let waiting =
            self.waiting.iter().enumerate().filter(|(_, (group, _))| self.has_room_for(group));
        let (place, _) =
            waiting.min_by_key(|(_, (group, _))| (held(group), *group == self.last))?;
        let (group, mut queue) = self.waiting.remove(place)?;
        let sender = queue.pop_front()?;
        if !queue.is_empty() {
            self.waiting.push_back((group.clone(), queue));
        }
        Some((group, sender))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        {
            let mut state = self.turns.lock();
            state.taken = state.taken.saturating_sub(1);
            if let Some(held) = state.held.get_mut(&self.group) {
                *held -= 1;
                if *held == 0 {
                    state.held.remove(&self.group);
                }
            }
        }
        self.turns.hand_on();
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
    async fn a_group_without_a_turn_does_not_wait_for_one_that_holds_all() {
        let turns = Turns::new(2, 1);
        let [greedy, polite, late] = groups(["greedy", "polite", "late"]);
        let held = [turns.try_take(&greedy).unwrap(), turns.try_take(&greedy).unwrap()];
        assert!(turns.try_take(&greedy).is_none());
        let _polite = turns.try_take(&polite).unwrap();
        assert!(turns.try_take(&polite).is_none(), "its second waits like everybody's");
        assert!(turns.try_take(&late).is_none(), "the reserve is bounded");
        drop(held);
        assert!(turns.try_take(&late).is_some());
    }

    #[tokio::test]
    async fn who_waits_is_served_round_robin_over_groups() {
        let turns = Turns::new(1, 0);
        let [greedy, polite] = groups(["greedy", "polite"]);
        let first = turns.take(&greedy).await;
        let mut greedy_waits: Vec<_> = (0..3).map(|_| Box::pin(turns.take(&greedy))).collect();
        for waiting in &mut greedy_waits {
            assert!(waiting.as_mut().now_or_never().is_none());
        }
        let mut polite_waits = Box::pin(turns.take(&polite));
        assert!(polite_waits.as_mut().now_or_never().is_none());
        drop(first);
        let second = polite_waits.as_mut().now_or_never().unwrap();
        assert!(greedy_waits[0].as_mut().now_or_never().is_none());
        drop(second);
        assert!(greedy_waits[0].as_mut().now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_turn_nobody_waits_for_any_more_goes_to_the_next() {
        let turns = Turns::new(1, 0);
        let first = turns.take(&None).await;
        let mut gone = Box::pin(turns.take(&None));
        assert!(gone.as_mut().now_or_never().is_none());
        let mut next = Box::pin(turns.take(&None));
        assert!(next.as_mut().now_or_never().is_none());
        drop(gone);
        drop(first);
        assert!(next.as_mut().now_or_never().is_some());
        assert!(turns.lock().held.is_empty() || turns.lock().taken == 0);
    }
}
