//! Turns: the changes of one session's messages that this process makes run one after the other.
//!
//! The version of the messages guards every change, also against other processes. Turns only spare
//! the attempts that would lose: without them, many callers of one session repeat their decisions
//! until some give up.
//!
//! Decision: ADR 0053.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use async_lock::MutexGuardArc;

use crate::id::SessionId;

/// The turns of the sessions of this process. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct MessagingTurns(Arc<Mutex<HashMap<SessionId, Arc<Queue>>>>);

/// The changes of one session that wait for each other.
#[derive(Debug, Default)]
struct Queue {
    running: Arc<async_lock::Mutex<()>>,
    /// Whether a change failed. Those behind it then run at once: each would wait for the failure
    /// of all before it while the store is not reachable.
    has_failed: AtomicBool,
}

/// The turn of one change. The next change of the session runs when it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    // Dropped before the membership.
    _running: Option<MutexGuardArc<()>>,
    membership: Membership,
}

/// A change that is in a queue, which ends with its last member.
#[derive(Debug)]
struct Membership {
    turns: MessagingTurns,
    session: SessionId,
    queue: Arc<Queue>,
}

impl MessagingTurns {
    /// Waits for the turn of a change of the session's messages.
    pub(crate) async fn wait(&self, session: &SessionId) -> Turn {
        let membership = self.membership(session);
        let running = membership.queue.running.lock_arc().await;
        Turn::new(membership, running)
    }

    /// Returns the turns of those of the sessions that have no change under way; if each has one, waits
    /// for the turn of one of them. A change of several sessions never waits while it keeps others from
    /// changing.
    pub(crate) async fn wait_for_some<'a>(
        &self,
        sessions: impl Iterator<Item = &'a SessionId> + Clone,
    ) -> Vec<Turn> {
        let free: Vec<_> = sessions.clone().filter_map(|session| self.try_turn(session)).collect();
        let (true, Some(first)) = (free.is_empty(), sessions.clone().next()) else { return free };
        let mut turns = vec![self.wait(first).await];
        turns.extend(sessions.skip(1).filter_map(|session| self.try_turn(session)));
        turns
    }

    fn try_turn(&self, session: &SessionId) -> Option<Turn> {
        let membership = self.membership(session);
        let running = membership.queue.running.try_lock_arc()?;
        Some(Turn::new(membership, running))
    }

    fn membership(&self, session: &SessionId) -> Membership {
        let queue = self.lock().entry(session.clone()).or_default().clone();
        Membership { turns: self.clone(), session: session.clone(), queue }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Arc<Queue>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    fn new(membership: Membership, running: MutexGuardArc<()>) -> Self {
        let has_failed = membership.queue.has_failed.load(Ordering::SeqCst);
        Self { _running: (!has_failed).then_some(running), membership }
    }

    /// Returns the session.
    pub(crate) fn session(&self) -> &SessionId {
        &self.membership.session
    }

    /// Lets the changes that wait behind this one run at once, and later changes form a new queue.
    pub(crate) fn fail(&self) {
        let Membership { turns, session, queue } = &self.membership;
        queue.has_failed.store(true, Ordering::SeqCst);
        let mut queues = turns.lock();
        if queues.get(session).is_some_and(|current| Arc::ptr_eq(current, queue)) {
            queues.remove(session);
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut queues = self.turns.lock();
        let is_last = |queue: &Arc<Queue>| {
            // The map has one, and this change the other one.
            Arc::ptr_eq(queue, &self.queue) && Arc::strong_count(queue) == 2
        };
        if queues.get(&self.session).is_some_and(is_last) {
            queues.remove(&self.session);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::{Pin, pin},
        task::{Context, Poll, Waker},
    };

    use super::*;

    type Waiting<'a> = Pin<&'a mut dyn Future<Output = Turn>>;

    fn poll(waiting: &mut Waiting<'_>) -> Option<Turn> {
        match waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(turn) => Some(turn),
            Poll::Pending => None,
        }
    }

    #[test]
    fn changes_of_one_session_run_in_the_order_of_their_arrival() {
        let turns = MessagingTurns::default();
        let [one, other] = [1, 2].map(SessionId::from_bits);
        let [mut first, mut second, mut third] = [(); 3].map(|()| Box::pin(turns.wait(&one)));
        let mut of_other = pin!(turns.wait(&other));
        let first = poll(&mut (first.as_mut() as _)).unwrap();
        assert!(poll(&mut (second.as_mut() as _)).is_none());
        assert!(poll(&mut (third.as_mut() as _)).is_none());
        assert!(poll(&mut (of_other.as_mut() as _)).is_some());
        drop(first);
        assert!(poll(&mut (third.as_mut() as _)).is_none());
        let second = poll(&mut (second.as_mut() as _)).unwrap();
        drop(second);
        drop(poll(&mut (third.as_mut() as _)).unwrap());
        assert!(turns.lock().is_empty());
    }

    #[test]
    fn change_of_several_sessions_waits_only_if_all_are_busy() {
        let turns = MessagingTurns::default();
        let all = [1, 2, 3].map(SessionId::from_bits);
        let taken = |waiting: Pin<&mut dyn Future<Output = Vec<Turn>>>| match waiting
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(turns) => {
                Some(turns.iter().map(|turn| turn.session().clone()).collect::<Vec<_>>())
            }
            Poll::Pending => None,
        };
        let mut first = pin!(turns.wait(&all[0]));
        let first = poll(&mut (first.as_mut() as _)).unwrap();
        assert_eq!(taken(pin!(turns.wait_for_some(all.iter()))), Some(all[1..].to_vec()));
        let mut waiting = pin!(turns.wait_for_some(all[..1].iter()));
        assert_eq!(taken(waiting.as_mut()), None);
        drop(first);
        assert_eq!(taken(waiting.as_mut()), Some(all[..1].to_vec()));
        assert_eq!(taken(pin!(turns.wait_for_some([].iter()))), Some(Vec::new()));
    }

    #[test]
    fn failure_lets_all_that_wait_run_at_once() {
        let turns = MessagingTurns::default();
        let session = SessionId::from_bits(1);
        let [mut first, mut second, mut third, mut later] =
            [(); 4].map(|()| Box::pin(turns.wait(&session)));
        let first = poll(&mut (first.as_mut() as _)).unwrap();
        assert!(poll(&mut (second.as_mut() as _)).is_none());
        assert!(poll(&mut (third.as_mut() as _)).is_none());
        first.fail();
        let later = poll(&mut (later.as_mut() as _)).unwrap();
        drop(first);
        let second = poll(&mut (second.as_mut() as _)).unwrap();
        let third = poll(&mut (third.as_mut() as _)).unwrap();
        drop((second, third, later));
        assert!(turns.lock().is_empty());
    }

    #[test]
    fn change_that_stops_waiting_leaves_nothing() {
        let turns = MessagingTurns::default();
        let session = SessionId::from_bits(1);
        let mut first = Box::pin(turns.wait(&session));
        let first = poll(&mut (first.as_mut() as _)).unwrap();
        let mut second = Box::pin(turns.wait(&session));
        assert!(poll(&mut (second.as_mut() as _)).is_none());
        drop(first);
        drop(second);
        assert!(turns.lock().is_empty());
    }
}
