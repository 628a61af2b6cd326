//! The sessions whose items wait for delivery, in turn. A session is in one request at most.

use std::collections::{HashMap, VecDeque};

use crate::session_name::SessionName;

/// The delivery state of all sessions with items.
#[derive(Debug, Default)]
pub(super) struct DeliveryQueue {
    sessions: HashMap<SessionName, SessionProgress>,
    ready: VecDeque<SessionName>,
}

#[derive(Debug)]
struct SessionProgress {
    /// Sequence numbers of the newest item and of the newest acknowledged one.
    newest: u64,
    acknowledged: u64,
    phase: Phase,
    /// Refusals in succession. A session with refusals has requests of its own.
    refusals: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Ready,
    Claimed,
    /// Waits after a refusal.
    Delayed,
}

/// A session whose items may be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) session: SessionName,
    /// Items after this sequence number are due.
    pub(super) after: u64,
    /// Sequence number of the newest item at the time of the claim.
    pub(super) newest: u64,
}

impl DeliveryQueue {
    /// Records that the session has an item with this sequence number.
    pub(super) fn appended(&mut self, session: &SessionName, newest: u64) {
        if let Some(progress) = self.sessions.get_mut(session) {
            progress.newest = progress.newest.max(newest);
            return;
        }
        let phase = Phase::Ready;
        let progress = SessionProgress { newest, acknowledged: 0, phase, refusals: 0 };
        self.sessions.insert(session.clone(), progress);
        self.ready.push_back(session.clone());
    }

    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Claims ready sessions, at most `limit`, longest waiting first. A session that was refused is
    /// claimed alone.
    pub(super) fn claim(&mut self, limit: usize) -> Vec<Claim> {
        let mut claims = Vec::new();
        while claims.len() < limit
            && let Some(session) = self.ready.front()
        {
            let Some(progress) = self.sessions.get_mut(session) else {
                self.ready.pop_front();
                continue;
            };
            let alone = progress.refusals > 0;
            if alone && !claims.is_empty() {
                break;
            }
            progress.phase = Phase::Claimed;
            let (after, newest) = (progress.acknowledged, progress.newest);
            claims.extend(self.ready.pop_front().map(|session| Claim { session, after, newest }));
            if alone {
                break;
            }
        }
        claims
    }

    /// Records that the router has stored the items of a claimed session up to `through`.
    pub(super) fn settle(&mut self, session: &SessionName, through: u64) {
        let Some(progress) = self.claimed(session) else { return };
        progress.acknowledged = progress.acknowledged.max(through);
        progress.refusals = 0;
        if progress.acknowledged >= progress.newest {
            self.sessions.remove(session);
        } else {
            self.make_ready(session);
        }
    }

    /// Makes a claimed session ready again.
    pub(super) fn put_back(&mut self, session: &SessionName) {
        if self.claimed(session).is_some() {
            self.make_ready(session);
        }
    }

    /// Delays a claimed session until [`Self::resume`]. Returns the number of earlier refusals in
    /// succession; `None` if the session has no items.
    pub(super) fn refuse(&mut self, session: &SessionName) -> Option<u32> {
        let progress = self.claimed(session)?;
        progress.phase = Phase::Delayed;
        progress.refusals = progress.refusals.saturating_add(1);
        Some(progress.refusals - 1)
    }

    /// Ends the delay of a session.
    pub(super) fn resume(&mut self, session: &SessionName) {
        if self.sessions.get(session).is_some_and(|progress| progress.phase == Phase::Delayed) {
            self.make_ready(session);
        }
    }

    /// Removes a session whose items are removed.
    pub(super) fn forget(&mut self, session: &SessionName) {
        self.sessions.remove(session);
        self.ready.retain(|ready| ready != session);
    }

    fn claimed(&mut self, session: &SessionName) -> Option<&mut SessionProgress> {
        self.sessions.get_mut(session).filter(|progress| progress.phase == Phase::Claimed)
    }

    fn make_ready(&mut self, session: &SessionName) {
        if let Some(progress) = self.sessions.get_mut(session) {
            progress.phase = Phase::Ready;
            self.ready.push_back(session.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> SessionName {
        SessionName::parse(text).unwrap()
    }

    fn claimed(queue: &mut DeliveryQueue, limit: usize) -> Vec<(String, u64)> {
        let claims = queue.claim(limit);
        claims.into_iter().map(|c| (c.session.as_str().to_owned(), c.after)).collect()
    }

    #[test]
    fn sessions_are_served_in_turn_and_one_request_at_a_time() {
        let mut queue = DeliveryQueue::default();
        for (session, newest) in [("a", 1), ("b", 2), ("a", 9)] {
            queue.appended(&name(session), newest);
        }
        assert_eq!(claimed(&mut queue, 1), [("a".to_owned(), 0)]);
        assert_eq!(claimed(&mut queue, 9), [("b".to_owned(), 0)]);
        assert_eq!(claimed(&mut queue, 9), [], "both are claimed");
        queue.settle(&name("a"), 5);
        queue.settle(&name("b"), 2);
        assert_eq!(claimed(&mut queue, 9), [("a".to_owned(), 5)], "b has no more items");
        queue.put_back(&name("a"));
        assert_eq!(claimed(&mut queue, 9), [("a".to_owned(), 5)]);
        queue.settle(&name("a"), 9);
        assert!(!queue.has_ready());
    }

    #[test]
    fn refused_session_waits_and_is_then_claimed_alone() {
        let mut queue = DeliveryQueue::default();
        for session in ["a", "b", "c"] {
            queue.appended(&name(session), 1);
        }
        assert_eq!(queue.claim(9).len(), 3);
        assert_eq!(queue.refuse(&name("b")), Some(0));
        queue.put_back(&name("a"));
        assert_eq!(claimed(&mut queue, 9), [("a".to_owned(), 0)]);
        queue.put_back(&name("a"));
        queue.resume(&name("b"));
        queue.put_back(&name("c"));
        assert_eq!(claimed(&mut queue, 9), [("a".to_owned(), 0)]);
        assert_eq!(claimed(&mut queue, 9), [("b".to_owned(), 0)], "alone");
        assert_eq!(queue.refuse(&name("b")), Some(1));
        assert_eq!(claimed(&mut queue, 9), [("c".to_owned(), 0)]);
    }

    #[test]
    fn items_that_follow_a_removal_are_not_acknowledged_by_an_earlier_request() {
        let mut queue = DeliveryQueue::default();
        queue.appended(&name("a"), 4);
        queue.claim(1);
        queue.forget(&name("a"));
        queue.appended(&name("a"), 7);
        queue.settle(&name("a"), 4);
        assert_eq!(claimed(&mut queue, 1), [("a".to_owned(), 0)]);
        assert_eq!(queue.refuse(&name("b")), None);
    }
}
