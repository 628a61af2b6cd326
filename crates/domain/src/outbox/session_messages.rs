//! Commits of the messages of one session.

use crate::{
    commit::CommitTarget,
    error::Result,
    messaging::change::MessagingCommit,
    ports::{
        notify::{Notification, Notifier},
        store::{messaging::MessagingStore, written::Written},
    },
};

/// The messages of one session, as the destination of commits.
pub(crate) struct SessionMessages<'a> {
    pub(crate) store: &'a dyn MessagingStore,
    pub(crate) notifier: &'a dyn Notifier,
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
