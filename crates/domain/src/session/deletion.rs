//! How an owner deletes a session, also one whose row cannot be read.

use super::{
    Sessions, Version,
    service::{TRIES, contended},
};
use crate::{
    Caller, Capability, Error, LogoutOutcome, Result, Retirement, Scope, SessionId, found,
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
            let (change, mut retirement) = session.retire(scope.actor(), now, &self.deadlines);
            let environment = &*self.ports.environment;
            let (_, guard, mut events) = change.seal(scope.actor(), environment);
            if retirement.gateway.is_none() {
                events.extend(retirement.tell(LogoutOutcome::NotLinked, environment));
            }
            let version = guard.version;
            match self.ports.store.retire(&scope, version, &retirement, &events).await? {
                Written::Done => {
                    self.deleted(&retirement);
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
            let remains = found("session", self.ports.store.remains(scope, &id).await?)?;
            let mark = remains.mark;
            let environment = &*self.ports.environment;
            let (retirement, events) = remains.retire(scope, &self.deadlines, environment);
            let store = &self.ports.store;
            match store.retire_remains(scope, mark, &retirement, &events).await? {
                Written::Done => {
                    self.deleted(&retirement);
                    return Ok(());
                }
                Written::Raced | Written::Repeated | Written::Refused(_) => {}
            }
        }
        Err(contended())
    }

    /// Who waits for it learns that it is gone; the reconciler only if there is work.
    fn deleted(&self, retirement: &Retirement) {
        self.ports.changes.tell(&retirement.session, None);
        if !retirement.is_over() {
            self.ports.work.ring();
        }
    }
}
