//! The published state of each session. The actor of the session writes the state; all readers read
//! it at any time, so that a read never waits for the actor.

use std::sync::{Arc, Mutex, PoisonError};

use gateway_protocol::{Attempt, Identity, Reason, Snapshot, Status};

use crate::{
    context::NodeContext,
    fair_permits::Group,
    messaging::{MessageSender, SessionFeed},
    session_name::SessionName,
};

/// The published state of one session, which outlives a crash of its actor.
pub(crate) struct StateCell {
    pub(crate) session: SessionName,
    /// Locked while the keys of the session are open.
    pub(crate) key_lock: Arc<tokio::sync::Mutex<()>>,
    /// The journal of the session.
    pub(crate) feed: Arc<SessionFeed>,
    /// The messages that the session sends.
    pub(crate) sender: Arc<MessageSender>,
    published: Mutex<Snapshot>,
}

/// The state of a session without the numbers that order its snapshots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SessionState {
    pub(crate) epoch: u64,
    pub(crate) status: Status,
    pub(crate) reason: Option<Reason>,
    pub(crate) identity: Option<Identity>,
    pub(crate) pairing: Option<Attempt>,
}

impl StateCell {
    pub(crate) fn new(session: SessionName, context: &NodeContext) -> Arc<Self> {
        let published = blank_snapshot(&session, 0, context);
        let feed = SessionFeed::new(session.clone(), context.journal.clone());
        Arc::new(Self {
            session,
            key_lock: Arc::default(),
            sender: MessageSender::new(feed.clone()),
            feed,
            published: Mutex::new(published),
        })
    }

    /// Returns the published snapshot with the present generation of the node.
    pub(crate) fn snapshot(&self, context: &NodeContext) -> Snapshot {
        let mut snapshot = self.lock().clone();
        snapshot.generation = context.generation();
        snapshot
    }

    /// Returns the group whose permits the connections of the session take.
    pub(crate) fn group(&self) -> Group {
        self.feed.group()
    }

    pub(crate) fn set_group(&self, group: Option<&str>) {
        self.feed.set_group(group);
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.lock().epoch
    }

    pub(crate) fn status(&self) -> Status {
        self.lock().status
    }

    pub(crate) fn identity(&self) -> Option<Identity> {
        self.lock().identity.clone()
    }

    /// Publishes a state if it differs from the published one. Reports it once the router has named
    /// an epoch for the session.
    pub(crate) fn publish(&self, state: SessionState, context: &NodeContext) {
        let mut published = self.lock();
        let next = Snapshot {
            session: published.session.clone(),
            generation: 0,
            seq: published.seq,
            at: published.at,
            epoch: state.epoch,
            status: state.status,
            reason: state.reason,
            identity: state.identity,
            pairing: state.pairing,
        };
        if next == *published {
            return;
        }
        let from = published.status;
        *published = Snapshot { seq: context.next_seq(), at: wacore::time::now_millis(), ..next };
        if from != published.status {
            let reason = published.reason.as_ref().map(|reason| reason.code.as_str());
            tracing::info!(session = published.session, status = ?published.status, reason, "session");
        }
        if published.epoch > 0 {
            context.outbox.push(published.clone()); // under the lock: in order
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Snapshot> {
        self.published.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The snapshot of a session without a known state.
pub(crate) fn blank_snapshot(session: &SessionName, epoch: u64, context: &NodeContext) -> Snapshot {
    Snapshot {
        session: session.as_str().to_owned(),
        epoch,
        generation: 0,
        seq: context.next_seq(),
        at: wacore::time::now_millis(),
        status: Status::Stopped,
        reason: None,
        identity: None,
        pairing: None,
    }
}
