//! Use case of the session delete, including sessions with an unreadable row.

use crate::{
    access::{Scope, or_not_found},
    caller::{Caller, Capability},
    cleanup::Cleanup,
    error::{Error, Result},
    id::SessionId,
    ports::{notify::Notification, store::written::Written},
    session::{
        service::{MAX_WRITE_ATTEMPTS, Sessions, write_contention},
        unlink::LogoutOutcome,
        version::Version,
    },
};

impl Sessions {
    /// Deletes a session. The session disappears for its owner at once; the worker cleans up the
    /// device and the keys afterwards. A session with an unreadable row is deleted too, if the
    /// caller expects no version.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without [`Capability::Manage`], [`Error::NotFound`],
    /// [`Error::PreconditionFailed`] at another version, and errors of the store.
    pub async fn delete(&self, caller: &Caller, id: &str, expected: Option<Version>) -> Result<()> {
        let scope = caller.may(Capability::Manage)?;
        for _ in 0..MAX_WRITE_ATTEMPTS {
            let session = match self.find(&scope, id).await {
                // The version of an unreadable row cannot be compared.
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

    /// Deletes a session with an unreadable row.
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

    /// Notifies waiters, and the worker if a cleanup remains.
    fn after_delete(&self, cleanup: &Cleanup) {
        let (session, version) = (&cleanup.session, None);
        self.ports.notifier.notify(Notification::SessionChanged { session, version });
        if !cleanup.is_complete() {
            self.ports.notifier.notify(Notification::WorkDue);
        }
    }
}
