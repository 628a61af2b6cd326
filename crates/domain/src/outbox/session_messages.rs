//! Commits of the messages of one session.

use crate::{
    commit::{CommitTarget, Decision, execute},
    error::{Error, Result},
    id::SessionId,
    messaging::{change::MessagingCommit, turns::MessagingTurns},
    ports::{
        notify::{Notification, Notifier},
        store::{messaging::MessagingStore, written::Written},
    },
};

/// The messages of one session, as the destination of commits.
pub(crate) struct SessionMessages<'a> {
    pub(crate) session: &'a SessionId,
    pub(crate) store: &'a dyn MessagingStore,
    pub(crate) notifier: &'a dyn Notifier,
    pub(crate) turns: &'a MessagingTurns,
}

impl SessionMessages<'_> {
    /// Finds, decides, commits and notifies, after the changes of this process that began before.
    ///
    /// # Errors
    /// As [`execute`].
    pub(crate) async fn change<S, R, F>(
        &self,
        find: impl Fn() -> F,
        decide: impl Fn(S) -> Result<Decision<MessagingCommit, R>>,
    ) -> Result<R>
    where
        F: Future<Output = Result<S>>,
    {
        let turn = self.turns.wait(self.session).await;
        let result = execute(self, find, decide).await;
        if let Err(Error::Unavailable { .. }) = &result {
            turn.fail();
        }
        result
    }
}

impl CommitTarget for SessionMessages<'_> {
    type Commit = MessagingCommit;

    async fn write(&self, commit: &MessagingCommit) -> Result<Written> {
        let written = self.store.commit_messaging(std::slice::from_ref(commit)).await?;
        Ok(if written.contains(&commit.change.row.session) {
            Written::Done
        } else {
            Written::Raced
        })
    }

    fn notify(&self, commit: &MessagingCommit) {
        let row = &commit.change.row;
        let changed =
            Notification::MessagesChanged { session: &row.session, version: Some(row.version) };
        self.notifier.notify(changed);
        if row.outbox_due.is_some() {
            self.notifier.notify(Notification::OutboxDue);
        }
    }
}
