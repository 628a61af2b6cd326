//! How an owner deletes a session, also one whose row cannot be read.

use super::{
    Sessions, Version,
    service::{MAX_WRITE_ATTEMPTS, write_contention},
};
use crate::{
    Caller, Capability, Cleanup, Error, LogoutOutcome, Result, Scope, SessionId, or_not_found,
    ports::Written,
};

impl Sessions {
    /// Gone for its owner at once; gone from the world when the reconciler has seen to it.
    pub async fn delete(&self, caller: &Caller, id: &str, expected: Option<Version>) -> Result<()> {
        let scope = caller.may(Capability::Manage)?;
        for _ in 0..MAX_WRITE_ATTEMPTS {
            let session = match self.find(&scope, id).await {
                // Whether it is at the version that the caller expects nobody can say.
                Err(Error::Internal(_)) if expected.is_none() => {
                    return self.delete_unreadable(&scope, id).await;
                }
                session => session?.require_version(expected)?,
            };
            let now = self.now();
            let (change, mut cleanup) = session.delete(scope.actor(), now, &self.deadlines);
            let environment = &*self.ports.environment;
            let (_, expected_version, mut events) = change.into_commit(scope.actor(), environment);
            if cleanup.gateway.is_none() {
                events.extend(cleanup.report_outcome(LogoutOutcome::NotLinked, environment));
            }
            let version = expected_version.version;
            match self.ports.store.delete(&scope, version, &cleanup, &events).await? {
                Written::Done => {
                    self.after_delete(&cleanup);
                    return Ok(());
                }
                Written::Raced | Written::Repeated | Written::Refused(_) => {}
            }
        }
        Err(write_contention())
    }

    /// The same for a session whose row cannot be read.
    async fn delete_unreadable(&self, scope: &Scope, id: &str) -> Result<()> {
        let id = or_not_found("session", SessionId::parse(id))?;
        for _ in 0..MAX_WRITE_ATTEMPTS {
            let partial_session =
                or_not_found("session", self.ports.store.partial_session(scope, &id).await?)?;
            let stored_version = partial_session.stored_version;
            let environment = &*self.ports.environment;
            let (cleanup, events) = partial_session.delete(scope, &self.deadlines, environment);
            let store = &self.ports.store;
            match store.delete_partial(scope, stored_version, &cleanup, &events).await? {
                Written::Done => {
                    self.after_delete(&cleanup);
                    return Ok(());
                }
                Written::Raced | Written::Repeated | Written::Refused(_) => {}
            }
        }
        Err(write_contention())
    }

    /// Who waits for it learns that it is gone; the reconciler only if there is work.
    fn after_delete(&self, cleanup: &Cleanup) {
        self.ports.change_notifier.publish(&cleanup.session, None);
        if !cleanup.is_complete() {
            self.ports.worker_notifier.notify();
        }
    }
}
