//! What is shown of each session: written by its actor alone, read by anyone at any time, so that
//! looking never waits for a session that is busy.

use std::sync::{Arc, Mutex, PoisonError};

use gateway_protocol::{Attempt, Identity, Reason, Snapshot, Status};

use crate::{context::NodeContext, fair_permits::Group, session_name::SessionName};

/// One session's place on the board; outlives a crash of its actor.
pub(crate) struct StateCell {
    /// Whose.
    pub(crate) session: SessionName,
    /// Held by whoever has the session's keys open.
    pub(crate) key_lock: Arc<tokio::sync::Mutex<()>>,
    published: Mutex<Snapshot>,
    group: Mutex<Group>,
}

/// What a session shows, without the numbers that order it.
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
        Arc::new(Self {
            session,
            key_lock: Arc::default(),
            published: Mutex::new(published),
            group: Mutex::default(),
        })
    }

    /// As it is now, under the present boot.
    pub(crate) fn snapshot(&self, context: &NodeContext) -> Snapshot {
        let mut snapshot = self.lock().clone();
        snapshot.boot = context.generation();
        snapshot
    }

    /// The group whose turns its connections take.
    pub(crate) fn group(&self) -> Group {
        self.group.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_group(&self, group: Option<&str>) {
        *self.group.lock().unwrap_or_else(PoisonError::into_inner) = group.map(Arc::from);
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

    /// Shows something new, and has it reported once the router has spoken of the session.
    pub(crate) fn publish(&self, state: SessionState, context: &NodeContext) {
        let mut published = self.lock();
        let next = Snapshot {
            session: published.session.clone(),
            boot: 0,
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

/// Of a session nothing is known of.
pub(crate) fn blank_snapshot(session: &SessionName, epoch: u64, context: &NodeContext) -> Snapshot {
    Snapshot {
        session: session.as_str().to_owned(),
        epoch,
        boot: 0,
        seq: context.next_seq(),
        at: wacore::time::now_millis(),
        status: Status::Stopped,
        reason: None,
        identity: None,
        pairing: None,
    }
}
