//! What is shown of each session: written by its actor alone, read by anyone at any time, so that
//! looking never waits for a session that is busy.

use std::sync::{Arc, Mutex, PoisonError};

use gateway_protocol::{Attempt, Identity, Reason, Snapshot, Status};

use crate::{context::Context, keys::SessionName, turns::Group};

/// One session's place on the board; outlives a crash of its actor.
pub(crate) struct Cell {
    /// Whose.
    pub(crate) session: SessionName,
    /// Held by whoever has the session's keys open.
    pub(crate) keys: Arc<tokio::sync::Mutex<()>>,
    shown: Mutex<Snapshot>,
    group: Mutex<Group>,
}

/// What a session shows, without the numbers that order it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Face {
    pub(crate) epoch: u64,
    pub(crate) status: Status,
    pub(crate) reason: Option<Reason>,
    pub(crate) identity: Option<Identity>,
    pub(crate) pairing: Option<Attempt>,
}

impl Cell {
    pub(crate) fn new(session: SessionName, context: &Context) -> Arc<Self> {
        let shown = blank(&session, 0, context);
        Arc::new(Self {
            session,
            keys: Arc::default(),
            shown: Mutex::new(shown),
            group: Mutex::default(),
        })
    }

    /// As it is now, under the present boot.
    pub(crate) fn snapshot(&self, context: &Context) -> Snapshot {
        let mut snapshot = self.lock().clone();
        snapshot.boot = context.boot();
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
    pub(crate) fn show(&self, face: Face, context: &Context) {
        let mut shown = self.lock();
        let next = Snapshot {
            session: shown.session.clone(),
            boot: 0,
            seq: shown.seq,
            at: shown.at,
            epoch: face.epoch,
            status: face.status,
            reason: face.reason,
            identity: face.identity,
            pairing: face.pairing,
        };
        if next == *shown {
            return;
        }
        let from = shown.status;
        *shown = Snapshot { seq: context.next_seq(), at: wacore::time::now_millis(), ..next };
        if from != shown.status {
            let reason = shown.reason.as_ref().map(|reason| reason.code.as_str());
            tracing::info!(session = shown.session, status = ?shown.status, reason, "session");
        }
        if shown.epoch > 0 {
            context.outbox.push(shown.clone()); // under the lock: in order
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Snapshot> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of a session nothing is known of.
pub(crate) fn blank(session: &SessionName, epoch: u64, context: &Context) -> Snapshot {
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
