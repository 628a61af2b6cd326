//! Commits of webhooks for callers.

use crate::{
    access::Scope,
    commit::{Commit, CommitTarget},
    error::Result,
    idempotency::Recorder,
    ports::{
        notify::{Notification, Notifier},
        store::{webhooks::WebhookStore, written::Written},
    },
    webhook::write::WebhookWrite,
};

/// The webhooks of a scope, as the destination of commits.
pub(crate) struct OwnedWebhooks<'a, T: ?Sized> {
    pub(crate) store: &'a dyn WebhookStore,
    pub(crate) scope: &'a Scope,
    pub(crate) notifier: &'a dyn Notifier,
    pub(crate) recorder: Recorder<'a, T>,
}

impl<T: ?Sized> CommitTarget for OwnedWebhooks<'_, T> {
    type Commit = Commit<WebhookWrite>;

    async fn write(&self, commit: &Commit<WebhookWrite>) -> Result<Written> {
        Ok(self.store.commit(self.scope, commit).await??)
    }

    fn notify(&self, _: &Commit<WebhookWrite>) {
        if let Some(recorder) = self.recorder {
            recorder.committed();
        }
        self.notifier.notify(Notification::WebhookDue);
    }
}
