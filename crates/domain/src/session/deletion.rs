//! How an owner deletes a session, also one whose row cannot be read.

use super::{
    Sessions, Version,
    service::{TRIES, contended},
};
use crate::{
    Caller, Capability, Cleanup, Error, LogoutOutcome, Result, Scope, SessionId, found,
    ports::Written,
};

impl Sessions {
    /// Gone for its owner at once; gone from the world when the reconciler has seen to it.
    pub async fn delete(&self, caller: &Caller, id: &str, expected: Option<Version>) -> Result<()> {
        let scope = caller.may(Capability::Manage)?;
        for _ in 0..TRIES {
            let session = match self.find(&scope, id).await {
                // Whether it is at the version that the caller expects nobody can say.
                Err(Error::Internal(_)) if expected.is_none() => {
                    return self.delete_unreadable(&scope, id).await;
                }
                session => session?.at(expected)?,
            };
            let now = self.now();
            let (change, mut cleanup) = session.delete(scope.actor(), now, &self.deadlines);
            let environment = &*self.ports.environment;
            let (_, expected_version, mut events) = change.into_commit(scope.actor(), environment);
            if cleanup.gateway.is_none() {
                events.extend(cleanup.tell(LogoutOutcome::NotLinked, environment));
            }
            let version = expected_version.version;
            match self.ports.store.delete(&scope, version, &cleanup, &events).await? {
                Written::Done => {
                    self.deleted(&cleanup);
                    return Ok(());
                }
                Written::Raced | Written::Repeated | Written::Refused(_) => {}
            }
        }
        Err(contended())
    }

    /// The same for a session whose row cannot be read.
    async fn delete_unreadable(&self, scope: &Scope, id: &str) -> Result<()> {
        let id = found("session", SessionId::parse(id))?;
        for _ in 0..TRIES {
            let partial_session =
                found("session", self.ports.store.partial_session(scope, &id).await?)?;
            let mark = partial_session.mark;
            let environment = &*self.ports.environment;
            let (cleanup, events) = partial_session.delete(scope, &self.deadlines, environment);
            let store = &self.ports.store;
            match store.delete_partial(scope, mark, &cleanup, &events).await? {
                Written::Done => {
                    self.deleted(&cleanup);
                    return Ok(());
                }
                Written::Raced | Written::Repeated | Written::Refused(_) => {}
            }
        }
        Err(contended())
    }

    /// Who waits for it learns that it is gone; the reconciler only if there is work.
    fn deleted(&self, cleanup: &Cleanup) {
        self.ports.change_notifier.tell(&cleanup.session, None);
        if !cleanup.is_over() {
            self.ports.work.notify();
        }
    }
}
