//! Commits of sessions for callers.

use crate::{
    access::Scope,
    commit::{Commit, CommitTarget},
    error::Result,
    idempotency::Recorder,
    ports::{
        notify::{Notification, Notifier},
        store::{sessions::SessionStore, written::Written},
    },
    session::{
        model::Session,
        write::{SessionUpdate, SessionWrite},
    },
};

/// The sessions of a scope, as the destination of commits.
pub(crate) struct OwnedSessions<'a> {
    pub(crate) store: &'a dyn SessionStore,
    pub(crate) scope: &'a Scope,
    /// `None` in a process without waiters.
    pub(crate) notifier: Option<&'a dyn Notifier>,
    pub(crate) recorder: Recorder<'a, Session>,
}

impl CommitTarget for OwnedSessions<'_> {
    type Commit = Commit<SessionWrite>;

    async fn write(&self, commit: &Commit<SessionWrite>) -> Result<Written> {
        Ok(self.store.commit(self.scope, commit).await??)
    }

    fn notify(&self, commit: &Commit<SessionWrite>) {
        if let Some(recorder) = self.recorder {
            recorder.committed();
        }
        let Some(notifier) = self.notifier else { return };
        let (session, version, is_work_due) = match &commit.change {
            SessionWrite::Insert(session, _)
            | SessionWrite::Update(SessionUpdate { session, .. }, _) => {
                (&session.id, Some(session.version), session.due.is_some())
            }
            SessionWrite::Delete(cleanup, _) => (&cleanup.session, None, !cleanup.is_complete()),
        };
        if is_work_due {
            notifier.notify(Notification::WorkDue);
        }
        notifier.notify(Notification::SessionChanged { session, version });
    }
}
