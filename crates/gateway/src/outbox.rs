//! Snapshots on their way to the router: in order for each session and kept until acknowledged. A
//! full queue drops a snapshot from the middle.
//!
//! A snapshot is the complete state of a session, so that the newest one makes the dropped ones
//! unnecessary.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use gateway_protocol::Snapshot;
use tokio::sync::Notify;

/// Queued snapshots of one session while the router is unreachable.
const MAX_PER_SESSION: usize = 16;

/// The snapshots that the router has not acknowledged.
#[derive(Default)]
pub(crate) struct Outbox {
    queues: Mutex<SnapshotQueues>,
    pushed: Notify,
}

#[derive(Default)]
struct SnapshotQueues {
    by_session: HashMap<String, VecDeque<Snapshot>>,
    /// The session of every queued snapshot by sequence number: oldest first over all sessions.
    order: BTreeMap<u64, String>,
}

impl Outbox {
    /// Queues the newest snapshot of a session.
    pub(crate) fn push(&self, snapshot: Snapshot) {
        let mut queues = self.lock();
        let queue = queues.by_session.entry(snapshot.session.clone()).or_default();
        let dropped = if queue.len() >= MAX_PER_SESSION { queue.pop_back() } else { None };
        let (seq, session) = (snapshot.seq, snapshot.session.clone());
        queue.push_back(snapshot);
        if let Some(dropped) = dropped {
            queues.order.remove(&dropped.seq);
        }
        queues.order.insert(seq, session);
        drop(queues);
        self.pushed.notify_one();
    }

    /// Queues a snapshot again, unless the queue holds snapshots of the session.
    pub(crate) fn push_unless_queued(&self, snapshot: Snapshot) {
        let waiting = self.lock().by_session.contains_key(&snapshot.session);
        if !waiting {
            self.push(snapshot);
        }
    }

    /// Returns the oldest snapshots, at most `limit`, in sequence order.
    pub(crate) fn batch(&self, limit: usize) -> Vec<Snapshot> {
        let queues = self.lock();
        let kept = |(seq, session): (&u64, &String)| {
            queues.by_session.get(session)?.iter().find(|s| s.seq == *seq).cloned()
        };
        queues.order.iter().filter_map(kept).take(limit).collect()
    }

    /// Removes snapshots that the router has stored.
    pub(crate) fn acknowledge(&self, batch: &[Snapshot]) {
        let mut queues = self.lock();
        for sent in batch {
            queues.order.remove(&sent.seq);
            if let Some(queue) = queues.by_session.get_mut(&sent.session) {
                queue.retain(|kept| kept.seq != sent.seq);
                if queue.is_empty() {
                    queues.by_session.remove(&sent.session);
                }
            }
        }
    }

    /// Removes the snapshots of a session that the router had removed from this node.
    pub(crate) fn forget(&self, session: &str) {
        let mut queues = self.lock();
        for gone in queues.by_session.remove(session).into_iter().flatten() {
            queues.order.remove(&gone.seq);
        }
    }

    /// Waits until a snapshot is queued.
    pub(crate) async fn wait_for_push(&self) {
        self.pushed.notified().await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, SnapshotQueues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_protocol::Status;

    fn snapshot(session: &str, seq: u64) -> Snapshot {
        Snapshot {
            session: session.into(),
            epoch: 1,
            generation: 0,
            seq,
            at: 0,
            status: Status::Stopped,
            reason: None,
            identity: None,
            pairing: None,
        }
    }

    fn seqs(batch: &[Snapshot]) -> Vec<u64> {
        batch.iter().map(|s| s.seq).collect()
    }

    #[test]
    fn unacknowledged_snapshots_are_sent_again_in_order() {
        let outbox = Outbox::default();
        for seq in 1..=6 {
            outbox.push(snapshot(if seq % 2 == 0 { "even" } else { "odd" }, seq));
        }
        let batch = outbox.batch(4);
        assert_eq!(seqs(&batch), [1, 2, 3, 4]);
        assert_eq!(seqs(&outbox.batch(4)), [1, 2, 3, 4]);
        outbox.acknowledge(&batch);
        assert_eq!(seqs(&outbox.batch(4)), [5, 6]);
    }

    #[test]
    fn full_queue_drops_the_middle_and_keeps_the_newest() {
        let outbox = Outbox::default();
        for seq in 1..=100 {
            outbox.push(snapshot("a", seq));
        }
        outbox.push(snapshot("b", 101));
        let batch = seqs(&outbox.batch(1000));
        assert_eq!(batch.len(), MAX_PER_SESSION + 1);
        assert!(batch.is_sorted());
        assert_eq!(batch[MAX_PER_SESSION - 1..], [100, 101]);
    }

    #[test]
    fn snapshot_added_during_a_send_stays_queued() {
        let outbox = Outbox::default();
        for seq in 1..=MAX_PER_SESSION as u64 {
            outbox.push(snapshot("a", seq));
        }
        let batch = outbox.batch(1000);
        outbox.push(snapshot("a", 99)); // replaces the newest snapshot of the batch
        outbox.acknowledge(&batch);
        assert_eq!(seqs(&outbox.batch(10)), [99]);
        outbox.forget("a");
        assert!(outbox.batch(10).is_empty());
    }
}
